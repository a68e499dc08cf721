//! Whatever octets come: the kernel lane gives what the sockets give, or nothing where they give nothing.

use parapet_tests::Random;
use wire::Rtype;

use crate::message::{DO, Message};
use crate::scene::{Client, Scene, ZONE, required};

/// Messages, chance having made what is missing.
const MESSAGES: usize = 4_000;
/// Messages whose answers are awaited at one time.
const CHUNK: usize = 500;
/// Octets of a header; who sends fewer is not answered.
const HEADER_BYTES: usize = 12;
/// The QR bit, in the third octet.
const QR: u8 = 0x80;

/// Asks both, and gives how many answers there were.
fn compare(above: Client<'_>, below: Client<'_>, messages: &[Vec<u8>]) {
    // Who sends a response, or no header, gets nothing. Everybody else does.
    let is_answered = |message: &&Vec<u8>| message.len() >= HEADER_BYTES && message[2] & QR == 0;
    for messages in messages.chunks(CHUNK) {
        let answers = messages.iter().filter(is_answered).count();
        let by_sockets = above.exchange_all(messages, answers);
        let by_kernel = below.exchange_all(messages, answers);
        for ((message, above), below) in messages.iter().zip(by_sockets).zip(by_kernel) {
            assert!(above.is_some() == is_answered(&message), "{message:02x?}: {above:02x?}");
            assert!(above == below, "{message:02x?}: {below:02x?}, by the sockets {above:02x?}");
        }
    }
}

#[test]
fn any_octets_get_what_the_sockets_give() {
    let scene = Scene::new("kernel-octets");
    let _origin = scene.origin(parapet_lab::zone_text::small(ZONE));
    let _edge = scene.edge(&required(), "");
    let questions = [
        Message::new("www.example.com", Rtype::A).opt(1232, DO, &[]),
        Message::new("nowhere.example.com", Rtype::TXT).opt(4096, 0, &[]),
        Message::new("a.b.wild.example.com", Rtype::A),
    ];
    let mut messages = Vec::new();
    let mut add = |message: &dyn Fn(u16) -> Vec<u8>| messages.push(message(messages.len() as u16));
    for question in &questions {
        let whole = question.to_bytes(0).len();
        // Cut short at every length, and with every number of octets too many.
        (0..=whole).for_each(|length| add(&|id| question.to_bytes(id)[..length].to_vec()));
        (1..=64).for_each(|more| add(&|id| question.clone().more(&vec![0; more]).to_bytes(id)));
        // Every octet but the id's changed to a few others.
        for place in 2..whole {
            for octet in [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff] {
                add(&|id| {
                    let mut message = question.to_bytes(id);
                    message[place] = octet;
                    message
                });
            }
        }
    }
    // What is shorter than an id is not answered, and says nothing about which it is.
    messages.retain(|message| message.len() >= 2);
    let mut random = Random::new(20_261_122);
    while messages.len() < MESSAGES {
        let mut message = random.pick(&questions).to_bytes(messages.len() as u16);
        for _ in 0..=random.below(4) {
            let place = 2 + random.below(message.len() - 2);
            message[place] = random.number() as u8;
        }
        messages.push(message);
    }
    // Each id once: what was left out has left gaps.
    for (id, message) in messages.iter_mut().enumerate() {
        message[..2].copy_from_slice(&(id as u16).to_be_bytes());
    }
    compare(scene.other(), scene.client(), &messages);
    compare(scene.other_v6(), scene.client_v6(), &messages);
}
