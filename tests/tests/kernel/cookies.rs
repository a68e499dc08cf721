//! Cookies (RFC 7873, RFC 9018) that the kernel lane makes are those that the sockets make: either takes the other's, from the
//! address that it was made for alone, and neither takes one that is too old, of another secret, or of no length that there is.

use parapet_lab::until;
use wire::Rtype;

use crate::message::{DO, Message, option};
use crate::scene::{Asked, Client, DEADLINE, Scene, ZONE, required};

const COOKIE: u16 = 10;
const CLIENT_COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
/// Octets of a cookie with both its parts.
const COOKIE_BYTES: usize = 24;

fn question(cookie: &[u8]) -> Message {
    Message::new("www.example.com", Rtype::A).opt(1232, DO, &option(COOKIE, cookie))
}

/// The answer, its cookie cut off: the last option of the last record.
fn ask(client: Client<'_>, cookie: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut answer = client.exchange(&question(cookie).to_bytes(7)).expect("an answer");
    let cookie = answer.split_off(answer.len() - COOKIE_BYTES);
    (answer, cookie)
}

#[test]
fn cookies_of_either_are_good_at_both() {
    let scene = Scene::new("kernel-cookies");
    let _origin = scene.origin(parapet_lab::zone_text::small(ZONE));
    let edge = scene.edge(&required(), "");
    for (above, below) in [(scene.other(), scene.client()), (scene.other_v6(), scene.client_v6())] {
        let before = Asked::of(&edge).answered;
        // A server's part is for an address, so each client keeps to its own.
        let (wanted, _) = ask(above, &CLIENT_COOKIE);
        let (answer, made_below) = ask(below, &CLIENT_COOKIE);
        assert_eq!(answer, wanted, "the same but the cookie");
        assert_eq!(made_below[..8], CLIENT_COOKIE);
        assert_eq!(made_below[8..12], [1, 0, 0, 0], "version 1, nothing reserved");
        // Fresh, it comes back as it is, by whomever it was made.
        assert_eq!(ask(below, &made_below), (wanted.clone(), made_below.clone()));
        let by_kernel = 2;
        let counted = || (Asked::of(&edge).answered == before + by_kernel).then_some(());
        until("two answers by the kernel lane", DEADLINE, counted)
            .unwrap_or_else(|error| panic!("{error}: {:#}", Asked::of(&edge).all));
        // An option that nobody knows beside it, and the sockets answer: the same cookie.
        let with_another = [option(COOKIE, &made_below), option(65_001, b"?")].concat();
        let message = Message::new("www.example.com", Rtype::A).opt(1232, DO, &with_another).to_bytes(7);
        let answer = below.exchange(&message).expect("an answer");
        assert_eq!(answer, [wanted.clone(), made_below.clone()].concat(), "made below, good above");
        let message = Message::new("www.example.com", Rtype::A)
            .opt(1232, DO, &[option(65_001, b"?"), option(COOKIE, &CLIENT_COOKIE)].concat())
            .to_bytes(7);
        let made_above = below.exchange(&message).expect("an answer").split_off(wanted.len());
        assert_eq!(ask(below, &made_above).1, made_above, "made above, good below");
        // Not from another address, and not with a bit changed: a new one is made.
        for place in [0, 7, 8, 12, 15, 16, 23] {
            let mut changed = made_below.clone();
            changed[place] ^= 1;
            let (answer, another) = ask(below, &changed);
            assert_eq!(answer, wanted);
            assert!(another != changed && another[..8] == changed[..8], "{place}: {another:02x?}");
        }
        let (_, another) = ask(above, &made_below);
        assert!(another != made_below, "a cookie is good from one address alone");
        // Lengths that no cookie has are malformed, others are foreign.
        for length in (0..=41).filter(|length| *length != COOKIE_BYTES) {
            let cookie = vec![9; length];
            let message = question(&cookie).to_bytes(7);
            let above = above.exchange(&message).expect("an answer");
            let below = below.exchange(&message).expect("an answer");
            let is_malformed = length < 8 || (length > 8 && length < 16) || length > 40;
            assert_eq!(above[3] & 15 == 1, is_malformed, "{length}");
            let but_cookie = |answer: &[u8]| answer[..answer.len() - if is_malformed { 0 } else { 16 }].to_vec();
            assert_eq!(but_cookie(&above), but_cookie(&below), "{length}");
        }
    }
}
