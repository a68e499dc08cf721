//! The fuzz targets over mutated messages: what a minute of fuzzing finds, a second of this mostly does.

use super::support::{Random, Script, message, notification, settings, usual};
use super::update::{AS_PATH, ORIGIN, update};
use crate::bgp::{Action, ConnectionId, fuzzing};

/// Messages that are right: those of a session, with attributes of all kinds.
fn messages() -> Vec<Vec<u8>> {
    let attributes: [&[u8]; 9] = [
        &[0x80, 14, 26, 0, 2, 1, 16, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 32, 0x20, 1, 0xd, 0xb8],
        ORIGIN,
        AS_PATH,
        &[0x40, 3, 4, 10, 0, 0, 254],
        &[0x80, 4, 4, 0, 0, 0, 1],
        &[0xc0, 8, 4, 0xff, 0xff, 0, 0],
        &[0x80, 15, 8, 0, 2, 1, 32, 0x20, 1, 0xd, 0xb9],
        &[0xc0, 16, 8, 0, 2, 0, 1, 0, 0, 0, 1],
        &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
    ];
    vec![
        message(1, &usual()),
        message(4, &[]),
        message(2, &update(&[16, 10, 1], &attributes, &[24, 192, 0, 2, 0])),
        message(2, &update(&[], &attributes[1..4], &[24, 192, 0, 2])),
        message(5, &[0, 1, 0, 1]),
        message(3, &[6, 2, 3, b'b', b'y', b'e']),
    ]
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let index = random.below(bytes.len().max(1));
        match random.below(4) {
            0 if !bytes.is_empty() => drop(bytes.remove(index)),
            1 => bytes.insert(index, u8::try_from(random.below(256)).unwrap()),
            2 => bytes.truncate(bytes.len().max(1) - 1),
            _ if !bytes.is_empty() => bytes[index] = u8::try_from(random.below(256)).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn mutated_messages() {
    let mut random = Random::new(1);
    for _ in 0..3000 {
        for whole in messages() {
            for start in [0, 19] {
                let mut bytes = whole[start..].to_vec();
                mutate(&mut bytes, &mut random);
                bytes.insert(0, u8::try_from(random.below(256)).unwrap());
                fuzzing::message(&bytes);
            }
        }
    }
}

#[test]
fn mutated_sessions() {
    let mut random = Random::new(2);
    // Start, connect, then messages: each a pause, what, which connection, its length, its type and its body.
    let mut session = vec![0, 0, 0, 0, 1, 3, 0];
    for message in messages() {
        session.extend([1, 10, 0, u8::try_from(message.len() - 18).unwrap()]);
        session.extend(&message[18..]);
    }
    fuzzing::peer(&session);
    for _ in 0..3000 {
        let mut bytes = session.clone();
        mutate(&mut bytes, &mut random);
        fuzzing::peer(&bytes);
    }
}

/// Feeds a session up to a message in which one octet is changed; what follows is what the book says.
fn check_changed(index: usize, octet: usize, value: u8) {
    let session = messages();
    let mut script = Script::new(settings());
    script.connect(1, false);
    for message in &session[..index] {
        script.hear(1, message);
    }
    let mut changed = session[index].clone();
    changed[octet] = value;
    let what = format!("octet {octet} of message {index} is {value}");
    let actions = script.hear(1, &changed);
    let told = notification(&actions).map(|(code, ..)| code);
    let is_closed = actions.contains(&Action::Close(ConnectionId(1)));
    let is_goodbye = changed[18] == 3;
    assert!(is_closed == told.is_some() || is_goodbye, "{what}: {actions:?}");
    let allowed: &[u8] = match (octet, session[index][18]) {
        (0..18, _) => &[1, 2, 3, 7],
        // Another type is another message: of a wrong length, or in the wrong state, or its body is wrong.
        (18, _) => &[1, 2, 3, 5, 7],
        (_, 1) => &[2],
        (_, 2) => &[3],
        (_, _) => &[],
    };
    assert!(told.is_none_or(|code| allowed.contains(&code)), "{what}: {told:?}");
    if octet < 16 {
        assert_eq!(told, Some(1), "{what}");
    }
}

#[test]
fn a_changed_octet_ends_as_the_book_says() {
    let mut random = Random::new(3);
    let session = messages();
    for (index, message) in session.iter().enumerate() {
        for (octet, &original) in message.iter().enumerate() {
            let others = [0, 0xff, original ^ 1, original ^ 0x80, u8::try_from(random.below(256)).unwrap()];
            for value in others.into_iter().filter(|&value| value != original) {
                check_changed(index, octet, value);
            }
        }
    }
}
