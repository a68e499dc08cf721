//! The line with the filters in it: each verdict on each transport, what is only observed, and what is never filtered.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use config::{DefenceMode, Defences, Filter};
use filters::{Effect, Filters, Now};

use super::{Case, query, render, unhex, zone};
use crate::{DropReason, Transport, line::tests::PEER};

/// As many queries as no single source may send at once.
const MANY: u32 = 3000;

/// A line with [`zone::EXAMPLE_COM`] and these defences, and the filters behind it.
pub(super) fn defended(change: impl FnOnce(&mut Defences)) -> (Case, Arc<Filters>) {
    let mut defences = Defences::default();
    change(&mut defences);
    let filters = Arc::new(Filters::new(&defences, [1, 2]));
    (Case { zones: zone::zones(), lane: filters.lane(), ..Case::new() }, filters)
}

/// The same with one filter alone.
pub(super) fn only(filter: Filter, mode: DefenceMode, change: impl FnOnce(&mut Defences)) -> (Case, Arc<Filters>) {
    defended(|defences| {
        for (known, place) in Filter::ALL.into_iter().zip(&mut defences.filters) {
            *place = if known == filter { mode } else { DefenceMode::Off };
        }
        change(defences);
    })
}

/// What became of many like queries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcomes {
    answered: u32,
    slipped: u32,
    silent: u32,
}

impl Case {
    fn ask_often(&self, text: &str, transport: Transport, times: u32) -> Outcomes {
        let (message, mut outcomes) = (query(text), Outcomes::default());
        for _ in 0..times {
            let answer = self.respond(&message, transport);
            match answer.get(2) {
                None => outcomes.silent += 1,
                Some(flags) if flags & 0x02 != 0 => {
                    assert!(answer.len() <= message.len(), "{text}: {} bytes for {}", answer.len(), message.len());
                    outcomes.slipped += 1;
                }
                Some(_) => outcomes.answered += 1,
            }
        }
        outcomes
    }
}

fn all_answered(times: u32) -> Outcomes {
    Outcomes { answered: times, ..Outcomes::default() }
}

fn block_peer(defences: &mut Defences) {
    defences.block = vec!["198.51.100.0/24".parse().unwrap()];
}

#[test]
fn who_is_blocked_is_not_answered_over_any_transport() {
    for transport in Transport::ALL {
        let (case, filters) = only(Filter::Blocked, DefenceMode::On, block_peer);
        assert!(case.respond(&query("www.example.com A"), transport).is_empty());
        assert_eq!(case.stats().dropped_for(DropReason::Blocked), 1);
        assert_eq!(case.stats().queries_total(), 1);
        assert_eq!(filters.counts().effect(Filter::Blocked, Effect::Dropped), 1);
    }
}

#[test]
fn what_is_observed_is_counted_and_answered_as_ever() {
    let plain = Case { zones: zone::zones(), ..Case::new() }.respond(&query("www.example.com A"), Transport::Udp);
    let (case, filters) = only(Filter::Blocked, DefenceMode::Observe, block_peer);
    assert_eq!(case.respond(&query("www.example.com A"), Transport::Udp), plain);
    assert_eq!(filters.counts().effect(Filter::Blocked, Effect::WouldDrop), 1);
    assert_eq!(case.stats().dropped().map(|(_, number)| number).sum::<u64>(), 0);
    let (case, filters) = defended(|defences| defences.mode = DefenceMode::Observe);
    assert_eq!(case.ask_often("www.example.com A", Transport::Udp, MANY), all_answered(MANY));
    assert!(filters.counts().effect(Filter::Client, Effect::WouldDrop) > 0);
}

#[test]
fn what_is_off_is_not_even_counted() {
    let (case, filters) = defended(|defences| {
        defences.mode = DefenceMode::Off;
        block_peer(defences);
    });
    assert_eq!(case.ask_often("www.example.com A", Transport::Udp, MANY), all_answered(MANY));
    assert_eq!(filters.counts().queries, 0);
}

#[test]
fn who_is_on_the_list_is_never_limited() {
    let (case, _) = defended(|defences| {
        block_peer(defences);
        defences.allow = vec!["198.51.100.100/32".parse().unwrap()];
    });
    for text in ["www.example.com A", "none.example.com A", "example.net A"] {
        for transport in Transport::ALL {
            assert_eq!(case.ask_often(text, transport, MANY), all_answered(MANY));
        }
    }
    assert_eq!(case.stats().slipped, 0);
}

#[test]
fn a_client_above_its_budget_is_dropped_over_any_transport() {
    for transport in Transport::ALL {
        let (case, filters) = only(Filter::Client, DefenceMode::On, |defences| defences.known_good_factor = 1);
        let outcomes = case.ask_often("www.example.com A", transport, MANY);
        assert!(outcomes.answered > 100 && outcomes.silent > 1000, "{outcomes:?}");
        assert_eq!(case.stats().dropped_for(DropReason::Client), u64::from(outcomes.silent));
        assert!(filters.counts().effect(Filter::Client, Effect::Penalised) > 0, "served while there is room");
    }
}

#[test]
fn answers_to_one_prefix_are_limited_whatever_is_asked_and_no_slip_is_longer_than_its_query() {
    for text in [
        "www.example.com A",
        "www.example.com AAAA edns",
        "nothing.example.com A do",
        "x.sub.example.com A nsid",
        "example.net A cookie=2464c4abcf10c957",
        "id.server TXT CH",
        ". A noquestion edns",
        "www.example.com A version=7",
    ] {
        let (mut case, filters) = only(Filter::ResponseRate, DefenceMode::On, |_| ());
        case.settings.cookie_secrets = vec![[1; 16]];
        case.settings.nsid = Some(vec![7; 100]);
        let outcomes = case.ask_often(text, Transport::Udp, 1000);
        assert!((20..300).contains(&outcomes.answered), "{text}: {outcomes:?}");
        assert!(outcomes.slipped.abs_diff(outcomes.silent) <= 1, "{text}: {outcomes:?}");
        assert_eq!(case.stats().slipped, u64::from(outcomes.slipped));
        assert_eq!(case.stats().dropped_for(DropReason::ResponseRate), u64::from(outcomes.silent));
        assert_eq!(filters.counts().effect(Filter::ResponseRate, Effect::Slipped), u64::from(outcomes.slipped));
        // Over TCP the client is who it says it is.
        assert_eq!(case.ask_often(text, Transport::Tcp, 1000).silent, 0, "{text}");
    }
}

#[test]
fn a_message_that_cannot_be_read_reflects_nothing_either() {
    let (case, _) = only(Filter::ResponseRate, DefenceMode::On, |_| ());
    let message = &query("www.example.com A")[..20];
    let answers: Vec<Vec<u8>> = (0..1000).map(|_| case.respond(message, Transport::Udp)).collect();
    assert!(answers.iter().all(|answer| answer.len() <= 12));
    let silent = answers.iter().filter(|answer| answer.is_empty()).count();
    let truncated = answers.iter().filter(|answer| answer.get(2).is_some_and(|flags| flags & 0x02 != 0)).count();
    assert!(silent > 300 && truncated > 300, "{silent} {truncated}");
}

#[test]
fn a_slip_has_the_question_and_nothing_else() {
    let (case, _) = only(Filter::ResponseRate, DefenceMode::On, |defences| defences.slip = 1);
    case.ask_often("www.example.com A", Transport::Udp, 1000);
    let slip = |text: &str| render(&case.respond(&query(text), Transport::Udp)).join("\n");
    assert_eq!(slip("wWw.example.com A rd"), "NOERROR qr tc rd\n? wWw.example.com. IN A");
    assert_eq!(slip("www.example.com A do"), "NOERROR qr tc\n? www.example.com. IN A\nopt 1232 do");
}

#[test]
fn a_slip_gives_a_cookie_where_there_is_room_for_it() {
    let (mut case, _) = only(Filter::ResponseRate, DefenceMode::On, |defences| defences.slip = 1);
    case.settings.cookie_secrets = vec![unhex("e5e973e5a6b2a43f48e7dc849e37bfcf").try_into().unwrap()];
    case.ask_often("www.example.com A", Transport::Udp, 1000);
    let slip = |text: &str| render(&case.respond(&query(text), Transport::Udp)).join("\n");
    let bare = "NOERROR qr tc\n? www.example.com. IN A\nopt 1232";
    assert_eq!(slip("www.example.com A cookie=2464c4abcf10c957"), bare);
    let padded = slip("www.example.com A cookie=2464c4abcf10c957 option=12:00000000000000000000000000000000");
    assert_eq!(padded, format!("{bare} cookie=2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
}

#[test]
fn who_has_a_valid_cookie_is_who_it_says_it_is() {
    const COOKIE: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    let (mut case, _) = only(Filter::ResponseRate, DefenceMode::On, |_| ());
    case.settings.cookie_secrets = vec![unhex("e5e973e5a6b2a43f48e7dc849e37bfcf").try_into().unwrap()];
    let proven = format!("www.example.com A cookie={COOKIE}");
    assert_eq!(case.ask_often(&proven, Transport::Udp, 1000), all_answered(1000));
    // The same cookie from another address, or spoilt, proves nothing.
    case.peer = "198.51.100.101:1053".parse().unwrap();
    assert!(case.ask_often(&proven, Transport::Udp, 1000).silent > 300);
    case.peer = PEER.parse().unwrap();
    let spoilt = format!("www.example.com A cookie={}00", &COOKIE[..COOKIE.len() - 2]);
    // It has proven itself a moment ago, so it is told each time.
    assert!(case.ask_often(&spoilt, Transport::Udp, 1000).slipped > 300);
}

#[test]
fn random_names_are_withheld_and_the_others_below_the_zone_are_not() {
    let (case, filters) = only(Filter::RandomName, DefenceMode::On, |_| ());
    let mut silent = 0;
    for number in 0..2000 {
        silent += u32::from(case.respond(&query(&format!("r{number}.example.com A")), Transport::Udp).is_empty());
    }
    assert!(silent > 500, "{silent}");
    assert!(filters.counts().effect(Filter::RandomName, Effect::Dropped) > 500);
    for text in ["www.example.com A", "alias.example.com A", "dead.example.com A", "any.wild.example.com TXT"] {
        assert_eq!(case.ask_often(text, Transport::Udp, 100), all_answered(100), "{text}");
    }
    assert_eq!(case.ask_often("one.more.example.com A", Transport::Tcp, 100).silent, 0);
}

#[test]
fn an_armed_defence_drops_and_slips_whom_it_does_not_know() {
    const CLIENTS: u32 = 20_000;
    let (mut case, filters) =
        only(Filter::UnknownSource, DefenceMode::On, |defences| defences.normal_per_s = Some(100));
    let client = |number: u32| SocketAddr::from((Ipv4Addr::from(0x0b00_0000 + number), 1053));
    filters.tick(Now::from_us(case.filter_us.get()));
    for number in 0..CLIENTS {
        case.filter_us.set(case.filter_us.get() + 20);
        case.peer = client(number);
        let outcomes = case.ask_often("www.example.com A", Transport::Udp, 1);
        assert!(number < CLIENTS / 2 || outcomes.silent == 1, "{number}: {outcomes:?}");
    }
    assert!(case.stats().dropped_for(DropReason::UnknownSource) > u64::from(CLIENTS / 2));
    // Whom it has seen is told to come over TCP, and is answered there.
    case.peer = client(CLIENTS - 1);
    assert_eq!(case.ask_often("www.example.com A", Transport::Udp, 1).slipped, 1);
    assert_eq!(case.ask_often("www.example.com A", Transport::Tcp, 1), all_answered(1));
    assert_eq!(case.ask_often("www.example.com A", Transport::Udp, 1), all_answered(1), "known good from then on");
}

#[test]
fn notify_from_whom_it_is_expected_is_heard_in_any_flood() {
    let (mut case, _) = defended(|defences| defences.allow = vec!["192.0.2.1/32".parse().unwrap()]);
    case.peer = "192.0.2.1:4000".parse().unwrap();
    assert_eq!(case.ask_often("example.com SOA opcode=4", Transport::Udp, MANY), all_answered(MANY));
    // From a stranger it is refused, as often as it is worth it.
    case.peer = PEER.parse().unwrap();
    assert!(case.ask_often("example.com SOA opcode=4", Transport::Udp, MANY).silent > MANY / 2);
}

#[test]
fn samples_say_what_was_asked_and_what_became_of_it() {
    let (case, filters) = only(Filter::Blocked, DefenceMode::On, |_| ());
    case.respond(&query("wWw.example.com A"), Transport::Udp);
    let sample = filters.samples().pop().unwrap();
    assert_eq!((sample.source, sample.verdict), (case.peer.ip(), filters::Verdict::Serve));
    assert_eq!(sample.qname.unwrap().to_string(), "www.example.com.");
    assert!(sample.zone.is_some());
    let mut defences = Defences::default();
    block_peer(&mut defences);
    filters.apply(&defences);
    case.respond(&query("www.example.com A"), Transport::Udp);
    let sample = filters.samples().pop().unwrap();
    assert_eq!((sample.verdict, sample.filter), (filters::Verdict::Drop(Filter::Blocked), Some(Filter::Blocked)));
    assert!(filters.samples().is_empty());
}
