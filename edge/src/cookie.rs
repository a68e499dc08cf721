//! DNS cookies (RFC 7873) that all servers of an anycast address make alike (RFC 9018).
//!
//! ```text
//!  0                   1                   2                   3
//! |    client cookie, 8 octets                                    |
//! |                                                               |
//! | version = 1   |  reserved                                     |
//! | timestamp, seconds, serial number arithmetic                  |
//! | SipHash-2-4 of all before and the client's address, 8 octets  |
//! |                                                               |
//! ```

use std::{hash::Hasher, net::IpAddr};

use siphasher::sip::SipHasher24;

const CLIENT_BYTES: usize = 8;
const SERVER_BYTES: usize = 16;
/// The option as this server sends it: client cookie and server cookie.
pub(crate) const OPTION_BYTES: usize = CLIENT_BYTES + SERVER_BYTES;
/// Server cookies of other makes have from 8 to 32 octets (RFC 7873 §4).
const FOREIGN_SERVER_BYTES: std::ops::RangeInclusive<usize> = 8..=32;
const VERSION: u8 = 1;

/// How old a cookie may be (RFC 9018 §4.3).
const AGE_S_MAX: i32 = 3600;
/// How far ahead another edge's clock may be.
const FUTURE_S_MAX: i32 = 300;
/// Past this age a client gets a new one.
const RENEW_AGE_S: i32 = 1800;

/// What a client's COOKIE option is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// There is no secret: the option is one of the unknown ones.
    Off,
    /// Of a length that no cookie has: FORMERR.
    Malformed,
    /// Without a server cookie that is ours and fresh; the answer carries `reply`.
    Unproven {
        /// The option of the answer.
        reply: [u8; OPTION_BYTES],
    },
    /// The client has heard us before at this address; the answer carries `reply`.
    Proven {
        /// The option of the answer.
        reply: [u8; OPTION_BYTES],
    },
}

/// Judges the data of a COOKIE option. `secrets` has the one that makes new cookies first.
pub(crate) fn check(data: &[u8], ip: IpAddr, secrets: &[[u8; 16]], now_s: u32) -> Cookie {
    let Some(current) = secrets.first() else { return Cookie::Off };
    let Some((client, server)) = data.split_first_chunk::<CLIENT_BYTES>() else { return Cookie::Malformed };
    if !server.is_empty() && !FOREIGN_SERVER_BYTES.contains(&server.len()) {
        return Cookie::Malformed;
    }
    if let Ok(server) = <&[u8; SERVER_BYTES]>::try_from(server)
        && let Some(age_s) = age_if_acceptable(server, now_s)
    {
        let timestamp = timestamp_of(server);
        let made_by = |secret| server_cookie(client, reserved_of(server), timestamp, ip, secret) == *server;
        if made_by(current) && age_s <= RENEW_AGE_S {
            return Cookie::Proven { reply: join(client, server) };
        }
        if secrets.iter().any(made_by) {
            let fresh = server_cookie(client, [0; 3], now_s, ip, current);
            return Cookie::Proven { reply: join(client, &fresh) };
        }
    }
    Cookie::Unproven { reply: join(client, &server_cookie(client, [0; 3], now_s, ip, current)) }
}

fn timestamp_of(&[_, _, _, _, a, b, c, d, ..]: &[u8; SERVER_BYTES]) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

fn reserved_of(&[_, a, b, c, ..]: &[u8; SERVER_BYTES]) -> [u8; 3] {
    [a, b, c]
}

/// The cookie's age in seconds (below 0: from the future), if it is of our version and within the window.
fn age_if_acceptable(server: &[u8; SERVER_BYTES], now_s: u32) -> Option<i32> {
    let &[version, ..] = server;
    // RFC 1982: the difference of two 32-bit times is right across their wrap-around.
    let age_s = now_s.wrapping_sub(timestamp_of(server)).cast_signed();
    (version == VERSION && (-FUTURE_S_MAX..=AGE_S_MAX).contains(&age_s)).then_some(age_s)
}

fn server_cookie(
    client: &[u8; CLIENT_BYTES],
    [r0, r1, r2]: [u8; 3],
    timestamp: u32,
    ip: IpAddr,
    secret: &[u8; 16],
) -> [u8; SERVER_BYTES] {
    let [t0, t1, t2, t3] = timestamp.to_be_bytes();
    let head = [VERSION, r0, r1, r2, t0, t1, t2, t3];
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(client);
    hasher.write(&head);
    match ip {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    let mut cookie = [0; SERVER_BYTES];
    let (first, second) = cookie.split_at_mut(head.len());
    first.copy_from_slice(&head);
    second.copy_from_slice(&hasher.finish().to_le_bytes());
    cookie
}

fn join(client: &[u8; CLIENT_BYTES], server: &[u8; SERVER_BYTES]) -> [u8; OPTION_BYTES] {
    let mut option = [0; OPTION_BYTES];
    let (first, second) = option.split_at_mut(CLIENT_BYTES);
    first.copy_from_slice(client);
    second.copy_from_slice(server);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let bytes: Vec<u8> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        bytes.try_into().unwrap()
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    /// Has the option `sent` checked, and compares what comes back with `expected`: proven or not, and the reply.
    fn check_at(sent: &str, ip: &str, secrets: &[&str], now_s: u32, expected: (bool, &str)) {
        let sent: Vec<u8> =
            (0..sent.len()).step_by(2).map(|at| u8::from_str_radix(&sent[at..at + 2], 16).unwrap()).collect();
        let secrets: Vec<[u8; 16]> = secrets.iter().map(|secret| hex(secret)).collect();
        let reply = hex(expected.1);
        let expected = if expected.0 { Cookie::Proven { reply } } else { Cookie::Unproven { reply } };
        assert_eq!(check(&sent, ip.parse().unwrap(), &secrets, now_s), expected, "{sent:02x?} {ip} {now_s}");
    }

    #[test]
    fn vectors_of_rfc_9018_appendix_a() {
        // A.1: learning a new server cookie.
        let first = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        check_at("2464c4abcf10c957", "198.51.100.100", &[SECRET], 1_559_731_985, (false, first));
        // A.2: the same client learns a renewed one once the old is half an hour old.
        let renewed = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        check_at(first, "198.51.100.100", &[SECRET], 1_559_734_385, (true, renewed));
        // A.3: another client learns a renewed one; its own is too old, its reserved octets are not zero.
        check_at(
            "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
            "203.0.113.203",
            &[SECRET],
            1_559_734_700,
            (false, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"),
        );
        // A.4: IPv6, and a secret that was replaced.
        check_at(
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            &["445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715"],
            1_559_741_961,
            (true, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"),
        );
    }

    #[test]
    fn lengths_of_rfc_7873_section_4() {
        let ip = "192.0.2.1".parse().unwrap();
        for length in 0..=45 {
            let malformed = check(&[7; 45][..length], ip, &[[1; 16]], 1_000) == Cookie::Malformed;
            assert_eq!(malformed, !(length == 8 || (16..=40).contains(&length)), "{length} octets");
        }
    }

    #[test]
    fn the_window_is_an_hour_back_and_five_minutes_ahead() {
        let ip = "192.0.2.1".parse().unwrap();
        let secrets = [[1; 16], [2; 16]];
        // The last start is where the 32 bits wrap around.
        for made_s in [10_000, u32::MAX - 100] {
            let Cookie::Unproven { reply } = check(&[7; 8], ip, &secrets, made_s) else { panic!("no cookie") };
            for (age_s, proven, kept) in [
                (0, true, true),
                (1800, true, true),
                (1801, true, false),
                (3600, true, false),
                (3601, false, false),
                (-300, true, true),
                (-301, false, false),
            ] {
                let now_s = made_s.wrapping_add_signed(age_s);
                match check(&reply, ip, &secrets, now_s) {
                    Cookie::Proven { reply: again } => assert_eq!((true, again == reply), (proven, kept), "{age_s}"),
                    other => assert!(!proven, "{age_s}: {other:?}"),
                }
            }
            let other_client = "192.0.2.2".parse().unwrap();
            assert!(matches!(check(&reply, other_client, &secrets, made_s), Cookie::Unproven { .. }));
            // The old secret still proves, but the client is given a cookie of the new one.
            let rolled = [[9; 16], secrets[0]];
            let Cookie::Proven { reply: again } = check(&reply, ip, &rolled, made_s) else { panic!("not taken") };
            assert_ne!(again, reply);
            assert!(matches!(check(&reply, ip, &rolled[..1], made_s), Cookie::Unproven { .. }));
        }
    }
}
