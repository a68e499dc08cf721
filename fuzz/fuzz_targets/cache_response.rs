//! A response of an origin, to be kept and learned from. Whatever it is: no panic; nothing is kept that lies outside of the
//! zone; what is kept can be read back, written into a message again, and judged the same way.
#![no_main]

use std::{sync::Arc, sync::LazyLock, time::Instant};

use cache::{Cache, CachedAnswer, Kind, TtlLimits};
use libfuzzer_sys::fuzz_target;
use wire::{Class, Flags, Message, Name, NameRef, Section, Writer, rdata};

const ZONE: u64 = 1;

static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::new(4 << 20));

/// The answer as a message with the flags that it was given with.
fn write(qname: NameRef<'_>, answer: &CachedAnswer) -> Option<Vec<u8>> {
    let mut buffer = vec![0; wire::MESSAGE_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer, wire::MESSAGE_BYTES_MAX).unwrap();
    let aa = answer.is_authoritative() || answer.kind() != Kind::Referral;
    writer.set_flags(Flags::default().with_qr(true).with_aa(aa).with_rcode(answer.rcode()));
    writer.question(qname, answer.qtype(), Class::IN).unwrap();
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        for rrset in answer.rrsets().filter(|rrset| rrset.section == section) {
            for rdata in rrset.rdatas() {
                writer.record(section, rrset.owner(qname), rrset.rtype, Class::IN, rrset.ttl_s, rdata).ok()?;
            }
        }
    }
    let length = writer.finish();
    buffer.truncate(length);
    Some(buffer)
}

fuzz_target!(|response: &[u8]| {
    let apex: Name = "a".parse().unwrap();
    let (limits, now) = (TtlLimits::default(), *NOW);
    // What it says it answers; verifying that is the caller's part.
    let Ok(message) = Message::parse(response) else { return };
    let Some((qname, qtype, _)) = message.questions().next() else { return };
    if !qname.as_ref().is_within(apex.as_ref()) {
        return;
    }
    let ticket = CACHE.ticket(ZONE);
    CACHE.learn_denial(ZONE, apex.as_ref(), response, &limits, now, ticket);
    let _ = CACHE.synthesise(ZONE, apex.as_ref(), qname.as_ref(), qtype, now);
    let judge =
        |response: &[u8]| CachedAnswer::from_response(apex.as_ref(), qname.as_ref(), qtype, response, &limits, now);
    let Ok(answer) = judge(response) else { return };
    for rrset in answer.rrsets() {
        assert!(rrset.owner(qname.as_ref()).is_within(apex.as_ref()));
        assert!(rrset.rdatas().count() > 0 && rrset.rdatas().all(|bytes| rdata::check(rrset.rtype, bytes).is_ok()));
        assert!(rrset.ttl_s <= limits.ttl_s_max);
        assert!(rrset.section == Section::Additional || answer.lifetime_s() <= rrset.ttl_s);
    }
    if let Some(again) = write(qname.as_ref(), &answer) {
        let again = judge(&again).expect("what was kept is an answer");
        assert_eq!(
            (again.kind(), again.rcode(), again.lifetime_s()),
            (answer.kind(), answer.rcode(), answer.lifetime_s())
        );
        assert!(
            again.rrsets().map(|rrset| rrset.rdatas().count()).eq(answer.rrsets().map(|rrset| rrset.rdatas().count()))
        );
    }
    let answer = Arc::new(answer);
    CACHE.insert(ZONE, qname.as_ref(), qtype, Arc::clone(&answer), ticket);
    if answer.is_kept() {
        assert!(CACHE.peek(ZONE, qname.as_ref(), qtype, now).is_some());
    }
    assert!(CACHE.stats().bytes <= CACHE.stats().bytes_max);
});
