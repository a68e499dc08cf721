//! Ways in for the fuzz targets; no part of the interface.

use std::sync::{Arc, LazyLock};

use wire::{Name, NameRef, Rtype};
use zones::{Limits as ZoneLimits, Zone, ZoneBuilder, ZoneSlot};

pub use crate::catalog::fuzzing::catalog;
use crate::copy::Copy;
use crate::journal;
use crate::notify::{Mailbox, Notifier, Outcome, Target};
use crate::on_demand::denial;
use crate::on_demand::message::{Cookies, Heard, Question, judge};
use crate::peers::Offer;
use crate::settings::resolve;
use crate::store::decode_differences;
use crate::transfer::{Interpreter, Limits, Progress};
use crate::validate::{Check, SignatureTimes, check_zonemd};

const LIMITS: Limits = Limits { records_max: 10_000, bytes_max: 1 << 20 };

/// The zone `a.` at serial 1.
static BASE: LazyLock<Option<Arc<Zone>>> = LazyLock::new(|| {
    let apex: Name = "a".parse().ok()?;
    let mut builder = ZoneBuilder::new(apex, ZoneLimits::NONE);
    builder.add(apex.as_ref(), Rtype::SOA, 60, b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01").ok()?;
    builder.add(apex.as_ref(), Rtype::NS, 60, b"\x01b\x01a\0").ok()?;
    Some(Arc::new(builder.finish().ok()?))
});

struct NoFiles;

impl config::SecretFiles for NoFiles {
    fn read(&self, _: &std::path::Path) -> Result<config::SecretFile, String> {
        Err("no files".into())
    }
}

/// A notifier for `a.` from 192.0.2.1.
static NOTIFIER: LazyLock<Option<Notifier>> = LazyLock::new(|| {
    let text = "[node.n]\nlisten = [\"127.0.0.1:53\"]\nstate_dir = \"/none\"\n[key.k]\nsecret = \"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\"\n\
                [origin.o]\naddresses = [\"192.0.2.1\"]\nkey = \"k\"\n[zone.\"a\"]\norigins = [\"o\"]\n";
    let config = config::Network::parse(text, "fuzz", &NoFiles).ok()?.value.for_node("n").ok()?;
    let zone = resolve(&config).ok()?.pop()?;
    let (notifier, _) = Notifier::new();
    let offer = Arc::new(Offer::new(Arc::new(ZoneSlot::new(zone.apex.to_name())), Arc::default()));
    let target = Target { zone: 0, settings: zone, mailbox: Arc::<Mailbox>::default(), offer };
    notifier.set_table(std::iter::once(Arc::new(target)));
    Some(notifier)
});

/// Reads an answer to AXFR or IXFR (from serial 1) for the zone `a.`: messages with 16-bit lengths before them, each given
/// the right id and flags. What comes out complete must make a zone or be refused.
pub fn transfer(data: &[u8]) {
    let Some((&first, mut rest)) = data.split_first() else {
        return;
    };
    let Some(base) = BASE.as_ref() else {
        return;
    };
    let question = if first & 1 == 0 { Rtype::AXFR } else { Rtype::IXFR };
    let apex = base.apex().to_owned();
    let mut interpreter = Interpreter::new(apex, 1, question, Some(base.serial()), LIMITS);
    let mut copy = Copy::new(apex, question, LIMITS);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (message, after) = after.split_at(length);
        let mut message = message.to_vec();
        if let Some(head) = message.first_chunk_mut::<4>() {
            *head = [0, 1, 0x84, 0];
        }
        match interpreter.message(&message, &mut copy) {
            Ok(Progress::More) => rest = after,
            Ok(Progress::Done(_)) => {
                if let Ok(next) = copy.finish(Some(base)) {
                    assert_eq!(next.zone().serial(), interpreter.serial(), "the copy has the serial that was promised");
                }
                return;
            }
            Err(error) => {
                let _ = (error.to_string(), error.advice(question), error.label());
                return;
            }
        }
    }
}

/// Reads a journal; what is whole is encoded again to the same bytes.
pub fn journal(data: &[u8]) {
    if let Some(scan) = journal::scan(data) {
        let mut again = journal::header(scan.generation);
        for entry in &scan.entries {
            let _ = decode_differences(entry.payload);
            journal::encode(entry, &mut again);
        }
        assert_eq!(data.get(..scan.valid_bytes), Some(&again[..]), "the same bytes");
    }
    let _ = decode_differences(data);
}

/// Takes a NOTIFY from the origin and from a stranger; a stranger's answer is never longer than the room.
pub fn notify(data: &[u8]) {
    let mut out = [0; 512];
    if let Some(notifier) = NOTIFIER.as_ref() {
        for peer in [[192, 0, 2, 1], [198, 51, 100, 1]] {
            if let Outcome::Answer(length) = notifier.handle(data, (peer, 53).into(), &mut out) {
                let header = out.get(..length).and_then(|answer| wire::Header::parse(answer).ok());
                assert!(header.is_some_and(|header| header.flags.qr()), "a well-formed response");
            }
        }
    }
}

/// Compares a message with a question to an origin, with and without cookies, and reads keys and proofs from it as if it
/// had been taken.
pub fn on_demand(data: &[u8]) {
    const APEX: NameRef<'static> = NameRef::ROOT;
    let cookies = Cookies { client: *b"client!!", server: Some(b"server-cookie".to_vec()) };
    for cookies in [None, Some(cookies)] {
        let (id, qname) = (data.first_chunk().map_or(0, |id| u16::from_be_bytes(*id)), Name::root());
        let question = Question { id, qname, qtype: Rtype::DNSKEY, cookies };
        for forgeable in [false, true] {
            if let Heard::Response { server_cookie: Some(cookie), .. } = judge(data, &question, forgeable) {
                assert!((8..=32).contains(&cookie.len()), "the cookie of a server");
            }
        }
    }
    let has_proofs = denial::has_proofs(data);
    let keys = denial::read_keys(data, APEX, &[], 1_700_000_000);
    let keys = keys.unwrap_or_else(|_| {
        denial::ZoneKeys::new([&b"\x01\x01\x03\x0f................................"[..]], u64::MAX)
    });
    let proven = denial::verify_proofs(data, APEX, &keys, 1_700_000_000);
    assert!(has_proofs || proven.is_err(), "what proves something has proofs");
}

/// Reads what other nodes send: questions past their signature, and the way of a copy.
pub fn peers(data: &[u8]) {
    crate::peers::Peers::read_unsigned(data);
}

/// Reads records for the zone `a.`, each an octet for the owner, one for the type, one for the length of its RDATA, and
/// verifies the zone: its signatures, its chain, its digest, and when it dies.
pub fn validate(data: &[u8]) {
    const OWNERS: [&str; 8] =
        ["a", "b.a", "*.b.a", "c.b.a", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.a", "d.a", "x.d.a", "z.a"];
    const TYPES: [Rtype; 12] = [
        Rtype::A,
        Rtype::NS,
        Rtype::DNAME,
        Rtype::MX,
        Rtype::DS,
        Rtype::RRSIG,
        Rtype::NSEC,
        Rtype::DNSKEY,
        Rtype::NSEC3,
        Rtype::NSEC3PARAM,
        Rtype::ZONEMD,
        Rtype::CAA,
    ];
    let Ok(apex) = "a".parse::<Name>() else {
        return;
    };
    let mut builder = ZoneBuilder::new(apex, ZoneLimits { records_max: 1000, bytes_max: 1 << 20 });
    let _ = builder.add(apex.as_ref(), Rtype::SOA, 60, b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01");
    let mut rest = data;
    while let Some((&[owner, rtype, length], after)) = rest.split_first_chunk::<3>() {
        let (rdata, after) = after.split_at(usize::from(length).min(after.len()));
        let owner = OWNERS.get(usize::from(owner) % OWNERS.len()).and_then(|owner| owner.parse::<Name>().ok());
        let rtype = TYPES.get(usize::from(rtype) % TYPES.len()).copied().unwrap_or(Rtype::A);
        if let Some(owner) = owner {
            let _ = builder.add(owner.as_ref(), rtype, 60, rdata);
        }
        rest = after;
    }
    let Ok(zone) = builder.finish() else {
        return;
    };
    let check = Check { anchors: &[], now_unix_s: 1_800_000_000, threads: 1 };
    let whole = check.whole(&zone);
    assert!(check.change(&zone, &zone, &[]).is_ok() || whole.is_err(), "what has not changed is as right as it was");
    let _ = check_zonemd(&zone, config::Zonemd::Require);
    let _ = SignatureTimes::of(&zone).first_unix_s(1_800_000_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with a cookie, changed here and there: no panic, as the fuzz target has it at length.
    #[test]
    fn changed_answers_do_no_harm() {
        let mut good = b"\x12\x34\x84\0\0\x01\0\x01\0\x02\0\x01\0\0\x30\0\x01".to_vec();
        good.extend_from_slice(b"\0\0\x30\0\x01\0\0\0\x3c\0\x06\x01\x01\x03\x0f..");
        good.extend_from_slice(b"\x01a\0\0\x2f\0\x01\0\0\0\x3c\0\x05\x01b\0\0\0");
        good.extend_from_slice(b"\x01a\0\0\x2e\0\x01\0\0\0\x3c\0\x15\0\x2f\x0f\x01\0\0\0\x3c....----\0\x01\0..");
        good.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\x80\0\0\x14\0\x0a\0\x10client!!server!!");
        on_demand(&good);
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let mut changed = good.clone();
            for _ in 0..=random(4) {
                let at = random(changed.len());
                changed[at] = random(256) as u8;
            }
            changed.truncate(changed.len() - random(3) * random(20));
            on_demand(&changed);
        }
    }

    /// The fixtures stand: without them the targets would find nothing.
    #[test]
    fn the_fixtures_are_there() {
        assert!(BASE.is_some() && NOTIFIER.is_some());
        let good = b"\0\0\x37\0\x01\0\0\0\x01\0\x02\0\0\0\0\x01a\0\0\xfc\0\x01";
        validate(b"\0\x07\x05\x01\x01\x03\x0d\x04\x01\x06\x02\x01a");
        transfer(good);
        journal(&journal::header(3));
        on_demand(b"\0\x01\x84\0\0\x01\0\0\0\0\0\0\0\0\x30\0\x01");
        peers(b"\x01\0\x02ab");
        notify(b"\0\x01\x20\0\0\x01\0\0\0\0\0\0\x01a\0\0\x06\0\x01");
    }
}
