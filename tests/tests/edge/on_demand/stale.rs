//! When no origin answers: what is in the cache goes on serving past its TTL (RFC 8767), marked as stale (RFC 8914), as
//! long as the policy says; what is not there is SERVFAIL with a reason.

use parapet_lab::Rtype;
use parapet_lab::scripted::Behaviour;
use wire::Rcode;

use super::{PATIENCE, ask_until, before_scripted, extended_errors, number_at, ttl_s};
use crate::scene::DEADLINE;

const STALE_ANSWER: u16 = 3;
const STALE_NXDOMAIN: u16 = 19;
const NO_REACHABLE_AUTHORITY: u16 = 22;
const NETWORK_ERROR: u16 = 23;

#[test]
fn stale_answers_while_the_origin_is_gone_and_fresh_ones_when_it_is_back() {
    let (scene, origin, edge) = before_scripted("od-stale", "client_wait_ms = 500\norigin_timeout_ms = 200\n");
    origin.set_ttl_s(1);
    origin.set_negative_ttl_s(1);
    let first = number_at(&scene, &edge, "www.od.test");
    assert_eq!(extended_errors(&scene, &edge, "nx.od.test", wire::Rtype::A), (Rcode::NXDOMAIN, Vec::new()));
    origin.behave(Behaviour::Silent);

    parapet_lab::until("a stale answer", DEADLINE, || {
        let (rcode, errors) = extended_errors(&scene, &edge, "www.od.test", wire::Rtype::TXT);
        assert_eq!(rcode, Rcode::NOERROR, "with {errors:?}");
        errors.contains(&STALE_ANSWER).then_some(())
    })
    .expect("stale data with its mark");
    let reply = super::ask_once(scene.client(), edge.v4(), "www.od.test", Rtype::TXT);
    assert_eq!((super::number(&reply), ttl_s(&reply)), (first, 30), "what it was, with the TTL of stale answers");
    parapet_lab::until("a stale NXDOMAIN", DEADLINE, || {
        let (rcode, errors) = extended_errors(&scene, &edge, "nx.od.test", wire::Rtype::A);
        assert_eq!(rcode, Rcode::NXDOMAIN, "with {errors:?}");
        errors.contains(&STALE_NXDOMAIN).then_some(())
    })
    .expect("a stale NXDOMAIN with its mark");

    let (rcode, errors) = extended_errors(&scene, &edge, "never-asked.od.test", wire::Rtype::TXT);
    assert_eq!(rcode, Rcode::SERVFAIL);
    assert!(errors.contains(&NO_REACHABLE_AUTHORITY) || errors.contains(&NETWORK_ERROR), "{errors:?}");

    origin.behave(Behaviour::Right);
    ask_until(&scene, &edge, ("www.od.test", Rtype::TXT), |reply| (super::number(reply) > first).then_some(()));
    let (rcode, errors) = extended_errors(&scene, &edge, "www.od.test", wire::Rtype::TXT);
    assert_eq!((rcode, errors.contains(&STALE_ANSWER)), (Rcode::NOERROR, false));
}

#[test]
fn never_stale_where_the_policy_says_so() {
    let (scene, origin, edge) =
        before_scripted("od-never-stale", "stale_s_max = 0\nclient_wait_ms = 500\norigin_timeout_ms = 200\n");
    origin.set_ttl_s(1);
    number_at(&scene, &edge, "www.od.test");
    origin.behave(Behaviour::Silent);
    parapet_lab::until("SERVFAIL", DEADLINE, || {
        let answer = scene.ask_patiently(edge.v4(), "www.od.test", wire::Rtype::TXT, PATIENCE);
        assert!(!answer.extended_errors.contains(&STALE_ANSWER), "{answer}");
        (answer.rcode == Rcode::SERVFAIL).then_some(())
    })
    .expect("no answer without an origin");
}

/// An origin that says SERVFAIL or REFUSED is as good as one that is gone.
#[test]
fn an_origin_that_fails_is_as_good_as_gone() {
    for behaviour in [Behaviour::Servfail, Behaviour::Refused] {
        let (scene, origin, edge) = before_scripted("od-stale-servfail", "client_wait_ms = 500\n");
        origin.set_ttl_s(1);
        let first = number_at(&scene, &edge, "www.od.test");
        origin.behave(behaviour);
        parapet_lab::until("a stale answer", DEADLINE, || {
            let (rcode, errors) = extended_errors(&scene, &edge, "www.od.test", wire::Rtype::TXT);
            assert_eq!(rcode, Rcode::NOERROR, "{behaviour:?}, with {errors:?}");
            errors.contains(&STALE_ANSWER).then_some(())
        })
        .expect("stale data with its mark");
        assert_eq!(number_at(&scene, &edge, "www.od.test"), first, "{behaviour:?}");
    }
}
