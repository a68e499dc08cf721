//! The zone machine, event by event.

use super::*;
use crate::timers::Clamps;

const SOA: SoaTimers = SoaTimers { serial: 10, refresh_s: 3600, retry_s: 600, expire_s: 86_400 };

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn settings(upstreams: usize) -> Settings {
    let clamps = Clamps {
        refresh: (s(1), s(100_000)),
        retry: (s(1), s(100_000)),
        expire: (s(1), s(1_000_000)),
        jitter_percent: 0,
    };
    Settings { clamps, upstreams, nodes: 0, ixfr: true, pull: None, dormant: false }
}

fn at(now: Duration) -> Context<'static> {
    Context { now, random: 0, avoid: &|_| false }
}

fn notice(serial: u32) -> Event {
    Event::Notify(Notice { serial: Some(serial), upstream: Some(0) })
}

fn want(actions: Actions) -> Option<(usize, Want)> {
    actions.attempt.map(|attempt| (attempt.upstream, attempt.want))
}

/// A machine that serves [`SOA`] since time 0 and is idle.
fn serving(upstreams: usize) -> Machine {
    let mut machine = Machine::new(settings(upstreams));
    assert_eq!(want(machine.handle(Event::Clock, &at(s(0)))), Some((0, Want::Whole)));
    let mut actions = machine.handle(Event::Ended(Ended::Updated(SOA, None)), &at(s(0)));
    assert_eq!(actions.publish, Some(Publish::Serving));
    while actions.attempt.is_some() {
        actions = machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(0)));
    }
    machine
}

#[test]
fn a_zone_without_data_is_fetched_whole_and_retried_with_back_off() {
    let mut machine = Machine::new(settings(1));
    assert_eq!(machine.due(), Some(s(0)));
    let mut now = s(0);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let attempt = machine.handle(Event::Clock, &at(now)).attempt.unwrap();
        assert_eq!((attempt.want, attempt.any_serial), (Want::Whole, true));
        assert_eq!(machine.due(), None);
        assert_eq!(machine.handle(Event::Ended(Ended::FailedThere), &at(now)), Actions::default());
        let due = machine.due().unwrap();
        waits.push((due - now).as_millis());
        now = due;
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
}

#[test]
fn refresh_checks_then_expiry_counts_from_the_last_contact() {
    let mut machine = serving(1);
    assert_eq!(machine.due(), Some(s(3600)));
    assert_eq!(want(machine.handle(Event::Clock, &at(s(3600)))), Some((0, Want::Check)));
    assert_eq!(machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(3601))), Actions::default());
    assert_eq!((machine.next_attempt(), machine.expires()), (Some(s(7201)), Some(s(3601 + 86_400))));
}

#[test]
fn expires_and_comes_back_with_any_serial() {
    let mut machine = serving(1);
    machine.handle(Event::Clock, &at(s(3600)));
    machine.handle(Event::Ended(Ended::FailedThere), &at(s(3601)));
    let actions = machine.handle(Event::Clock, &at(s(86_400)));
    assert_eq!(actions.publish, Some(Publish::Expired));
    let attempt = actions.attempt.unwrap();
    assert_eq!((attempt.want, attempt.any_serial), (Want::Check, true));
    let lower = SoaTimers { serial: 3, ..SOA };
    let actions = machine.handle(Event::Ended(Ended::Updated(lower, None)), &at(s(86_401)));
    assert_eq!(actions.publish, Some(Publish::Serving));
    assert_eq!(machine.soa(), Some(lower));
}

#[test]
fn an_expired_zone_that_the_origin_confirms_is_served_again() {
    let mut machine = Machine::new(settings(1));
    let actions = machine.handle(Event::Loaded { soa: SOA, age: s(86_400) }, &at(s(5)));
    assert_eq!(actions.publish, Some(Publish::Expired));
    assert!(machine.handle(Event::Clock, &at(s(5))).attempt.unwrap().any_serial);
    let actions = machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(6)));
    assert_eq!((actions.publish, machine.expires()), (Some(Publish::Serving), Some(s(6 + 86_400))));
}

#[test]
fn a_copy_from_disk_is_served_and_checked_at_once() {
    let mut machine = Machine::new(settings(1));
    let actions = machine.handle(Event::Loaded { soa: SOA, age: s(86_300) }, &at(s(0)));
    assert_eq!(actions.publish, Some(Publish::Serving));
    assert_eq!((machine.due(), machine.expires()), (Some(s(0)), Some(s(100))));
    assert_eq!(want(machine.handle(Event::Clock, &at(s(0)))), Some((0, Want::Check)));
}

#[test]
fn notify_goes_straight_to_the_differences() {
    let mut machine = serving(2);
    let actions = machine.handle(Event::Notify(Notice { serial: Some(11), upstream: Some(1) }), &at(s(1)));
    assert_eq!(
        actions.attempt,
        Some(Attempt { upstream: 1, want: Want::Differences, any_serial: false, urgent: true })
    );
}

#[test]
fn notify_of_our_serial_does_nothing() {
    let mut machine = serving(1);
    assert_eq!(machine.handle(notice(10), &at(s(1))), Actions::default());
    assert_eq!(machine.due(), Some(s(3600)));
}

/// A serial that was set back is looked at, by a question for the SOA: differences cannot lead there.
#[test]
fn notify_of_a_lower_serial_asks_for_the_soa() {
    for serial in [9, 10 + 0x8000_0000] {
        let mut machine = serving(2);
        let lower = Notice { serial: Some(serial), upstream: Some(1) };
        assert_eq!(want(machine.handle(Event::Notify(lower), &at(s(1)))), Some((1, Want::Check)));
        // The other one has what we have: the zone is fine.
        assert_eq!(want(machine.handle(Event::Ended(Ended::FailedThere), &at(s(2)))), Some((0, Want::Check)));
        assert_eq!(machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(3))), Actions::default());
        assert_eq!((machine.failures(), machine.due()), (0, Some(s(3603))));
    }
}

/// A NOTIFY that a transfer overtook asks for nothing more.
#[test]
fn notify_of_a_serial_that_was_passed_is_forgotten() {
    let mut machine = serving(1);
    machine.handle(notice(11), &at(s(1)));
    machine.handle(notice(12), &at(s(1)));
    let updated = Event::Ended(Ended::Updated(SoaTimers { serial: 15, ..SOA }, None));
    assert_eq!(machine.handle(updated, &at(s(2))), Actions::default());
    assert_eq!(machine.due(), Some(s(2 + 3600)));
}

#[test]
fn a_zone_that_is_pulled_is_checked_at_its_interval() {
    let pulled = Settings { pull: Some(s(20)), ..settings(1) };
    let mut machine = Machine::new(pulled.clone());
    machine.handle(Event::Clock, &at(s(0)));
    machine.handle(Event::Ended(Ended::Updated(SOA, None)), &at(s(0)));
    assert_eq!(machine.due(), Some(s(20)));
    assert_eq!(want(machine.handle(Event::Clock, &at(s(20)))), Some((0, Want::Check)));
    // A failure is followed up soon, and never later than the interval.
    let (mut now, mut waits) = (s(20), Vec::new());
    for _ in 0..8 {
        machine.handle(Event::Ended(Ended::FailedThere), &at(now));
        let due = machine.due().unwrap();
        waits.push((due - now).as_millis());
        now = due;
        machine.handle(Event::Clock, &at(now));
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
    // NOTIFY is heeded all the same, and the interval begins anew.
    machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(200)));
    assert_eq!(want(machine.handle(notice(11), &at(s(205)))), Some((0, Want::Differences)));
    machine.handle(Event::Ended(Ended::Updated(SoaTimers { serial: 11, ..SOA }, None)), &at(s(206)));
    assert_eq!(machine.due(), Some(s(226)));
    assert_eq!(machine.expires(), Some(s(206 + 86_400)));
}

/// RFC 7314: an upstream that is a secondary says what is left of its own copy.
#[test]
fn what_the_upstream_has_left_caps_the_expiry() {
    let mut machine = serving(1);
    machine.handle(Event::Clock, &at(s(3600)));
    let updated = |good_for| Event::Ended(Ended::Updated(SoaTimers { serial: 11, ..SOA }, Some(good_for)));
    machine.handle(updated(s(1000)), &at(s(3600)));
    assert_eq!(machine.expires(), Some(s(4600)));
    let check = |machine: &mut Machine, now, good_for| {
        machine.handle(Event::Retransfer, &at(now));
        machine.handle(Event::Ended(Ended::UpToDate(Some(good_for))), &at(now));
        machine.expires()
    };
    assert_eq!(check(&mut machine, s(3700), s(2000)), Some(s(5700)));
    // Another that knows less, or has nothing left, takes nothing back; none gives more than the SOA does.
    assert_eq!(check(&mut machine, s(3800), s(10)), Some(s(5700)));
    assert_eq!(check(&mut machine, s(3900), s(0)), Some(s(5700)));
    assert_eq!(machine.failures(), 1);
    assert_eq!(check(&mut machine, s(4000), s(1_000_000)), Some(s(4000 + 86_400)));
}

#[test]
fn notify_during_a_transfer_makes_another_check_after_it() {
    let mut machine = serving(1);
    machine.handle(notice(11), &at(s(1)));
    assert_eq!(machine.handle(notice(12), &at(s(1))), Actions::default());
    assert_eq!(machine.handle(notice(13), &at(s(1))), Actions::default());
    let updated = |serial| Event::Ended(Ended::Updated(SoaTimers { serial, ..SOA }, None));
    assert_eq!(want(machine.handle(updated(11), &at(s(2)))), Some((0, Want::Differences)));
    assert_eq!(machine.handle(notice(13), &at(s(2))), Actions::default());
    // The transfer brought what the second NOTIFY spoke of.
    assert_eq!(machine.handle(updated(13), &at(s(3))), Actions::default());
    assert_eq!(machine.next_attempt(), Some(s(3 + 3600)));
}

#[test]
fn a_failed_transfer_that_notify_asked_for_is_retried_soon() {
    let mut machine = serving(1);
    machine.handle(notice(11), &at(s(1)));
    assert_eq!(machine.handle(Event::Ended(Ended::FailedThere), &at(s(2))), Actions::default());
    assert_eq!(machine.due(), Some(s(2) + ms(500)));
}

#[test]
fn each_upstream_is_tried_once_a_round_and_the_good_one_is_kept() {
    let mut machine = serving(3);
    assert_eq!(want(machine.handle(Event::Clock, &at(s(3600)))), Some((0, Want::Check)));
    assert_eq!(want(machine.handle(Event::Ended(Ended::FailedThere), &at(s(3601)))), Some((1, Want::Check)));
    assert_eq!(want(machine.handle(Event::Ended(Ended::FailedThere), &at(s(3602)))), Some((2, Want::Check)));
    assert_eq!(machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(3603))), Actions::default());
    assert_eq!(want(machine.handle(Event::Clock, &at(s(8000)))), Some((2, Want::Check)));
    for _ in 0..2 {
        assert!(machine.handle(Event::Ended(Ended::FailedThere), &at(s(8000))).attempt.is_some());
    }
    assert_eq!(machine.handle(Event::Ended(Ended::FailedThere), &at(s(8000))), Actions::default());
    assert_eq!(machine.due(), Some(s(8000) + ms(500)));
}

/// A timer's round asks them all, each once; what is newer is fetched, what is not there or older changes nothing.
#[test]
fn the_newest_of_all_upstreams_wins() {
    let mut machine = serving(3);
    assert_eq!(want(machine.handle(Event::Clock, &at(s(3600)))), Some((0, Want::Check)));
    assert_eq!(want(machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(3600)))), Some((1, Want::Check)));
    assert_eq!(machine.expires(), Some(s(3600 + 86_400)));
    let updated = Event::Ended(Ended::Updated(SoaTimers { serial: 11, ..SOA }, None));
    assert_eq!(want(machine.handle(updated, &at(s(3601)))), Some((2, Want::Check)));
    assert_eq!(machine.handle(Event::Ended(Ended::FailedThere), &at(s(3602))), Actions::default());
    assert_eq!((machine.due(), machine.failures()), (Some(s(7202)), 0));
    // The one with the newest is asked first from now on; the others have nothing that it lacks, and it stays so.
    for round in 2..5 {
        let now = s(3602) * round;
        assert_eq!(want(machine.handle(Event::Clock, &at(now))), Some((1, Want::Check)));
        assert_eq!(want(machine.handle(Event::Ended(Ended::UpToDate(None)), &at(now))), Some((2, Want::Check)));
        assert_eq!(want(machine.handle(Event::Ended(Ended::UpToDate(None)), &at(now))), Some((0, Want::Check)));
        assert_eq!(machine.handle(Event::Ended(Ended::FailedThere), &at(now)), Actions::default());
    }
}

#[test]
fn a_notify_goes_before_comparing_and_who_is_down_is_left_alone() {
    let mut machine = serving(3);
    machine.handle(Event::Clock, &at(s(3600)));
    machine.handle(notice(11), &at(s(3600)));
    assert_eq!(want(machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(3601)))), Some((0, Want::Differences)));
    // A NOTIFY's round ends with its success.
    let updated = Event::Ended(Ended::Updated(SoaTimers { serial: 11, ..SOA }, None));
    assert_eq!(machine.handle(updated, &at(s(3601))), Actions::default());
    let context = |now| Context { now, random: 0, avoid: &|upstream| upstream == 1 };
    machine.handle(Event::Clock, &context(s(7201)));
    let actions = machine.handle(Event::Ended(Ended::UpToDate(None)), &context(s(7201)));
    assert_eq!(want(actions), Some((2, Want::Check)));
    assert_eq!(machine.handle(Event::Ended(Ended::UpToDate(None)), &context(s(7201))), Actions::default());
    // Nor is anyone compared with behind other edges.
    let mut machine = Machine::new(Settings { nodes: 1, ..settings(2) });
    machine.handle(Event::Clock, &at(s(0)));
    assert_eq!(machine.handle(Event::Ended(Ended::Updated(SOA, None)), &at(s(0))).attempt, None);
}

#[test]
fn an_upstream_that_is_known_to_be_down_is_not_asked_first() {
    let mut machine = serving(2);
    let context = Context { now: s(3600), random: 0, avoid: &|upstream| upstream == 0 };
    assert_eq!(want(machine.handle(Event::Clock, &context)), Some((1, Want::Check)));
}

#[test]
fn a_full_disk_does_not_blame_the_upstream() {
    let mut machine = serving(2);
    machine.handle(notice(11), &at(s(1)));
    assert_eq!(machine.handle(Event::Ended(Ended::FailedHere), &at(s(2))), Actions::default());
    assert_eq!(want(machine.handle(Event::Clock, &at(s(3)))), Some((0, Want::Check)));
}

#[test]
fn a_flood_of_notifies_without_news_is_slowed_down() {
    let mut machine = serving(1);
    let mut now = s(1);
    let mut rounds = 0;
    while now < s(61) {
        let mut actions = machine.handle(notice(999), &at(now));
        if actions.attempt.is_none() {
            actions = machine.handle(Event::Clock, &at(now));
        }
        if actions.attempt.is_some() {
            rounds += 1;
            machine.handle(Event::Ended(Ended::UpToDate(None)), &at(now));
        }
        now += ms(10);
    }
    assert!((10..=20).contains(&rounds), "{rounds} rounds in a minute");
    // A real change ends the suspicion.
    now = machine.due().unwrap();
    machine.handle(notice(1000), &at(now));
    machine.handle(Event::Clock, &at(now));
    machine.handle(Event::Ended(Ended::Updated(SoaTimers { serial: 1000, ..SOA }, None)), &at(now));
    assert!(machine.handle(notice(1001), &at(now + s(1))).attempt.is_some());
}

#[test]
fn retransfer_is_whole_and_waits_for_a_running_attempt() {
    let mut machine = serving(1);
    let attempt = machine.handle(Event::Retransfer, &at(s(1))).attempt.unwrap();
    assert_eq!((attempt.want, attempt.any_serial, attempt.urgent), (Want::Whole, true, true));
    machine.handle(Event::Ended(Ended::Updated(SOA, None)), &at(s(2)));
    machine.handle(notice(11), &at(s(3)));
    assert_eq!(machine.handle(Event::Retransfer, &at(s(3))), Actions::default());
    let actions = machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(4)));
    assert_eq!(want(actions), Some((0, Want::Whole)));
}

#[test]
fn a_new_configuration_is_tried_at_once() {
    let mut machine = serving(1);
    assert_eq!(want(machine.handle(Event::Configure(settings(2)), &at(s(1)))), Some((0, Want::Check)));
    assert_eq!(machine.handle(Event::Configure(settings(3)), &at(s(1))), Actions::default());
    let actions = machine.handle(Event::Ended(Ended::UpToDate(None)), &at(s(2)));
    assert_eq!(actions.attempt.unwrap().upstream, 0);
}

/// Whatever happens in whatever order: a machine that is not busy has a timer, one that is busy asks for nothing more, and
/// what is published follows what it has.
#[test]
fn no_sequence_of_events_gets_it_stuck() {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..200 {
        let upstreams = 1 + random(3) as usize;
        let mut machine = Machine::new(settings(upstreams));
        let (mut now, mut busy, mut serving, mut serial) = (s(0), false, false, 10u32);
        for _ in 0..200 {
            now += ms(random(2_000_000));
            let event = match random(9) {
                0 => Event::Notify(Notice {
                    serial: (random(2) == 0).then_some(serial + random(3) as u32),
                    upstream: None,
                }),
                1 => Event::Retransfer,
                2 => Event::Configure(settings(upstreams)),
                3 | 4 if busy => Event::Ended(Ended::FailedThere),
                5 if busy => Event::Ended(Ended::FailedHere),
                6 if busy && machine.soa().is_some() => Event::Ended(Ended::UpToDate(None)),
                7 | 8 if busy => {
                    serial += 1;
                    Event::Ended(Ended::Updated(SoaTimers { serial, ..SOA }, None))
                }
                _ => Event::Clock,
            };
            let ended = matches!(event, Event::Ended(_));
            let updated = matches!(event, Event::Ended(Ended::Updated(..)));
            let actions = machine.handle(event.clone(), &at(now));
            assert!(actions.attempt.is_none() || !busy || ended, "two attempts at once after {event:?}");
            busy = actions.attempt.is_some() || (busy && !ended);
            match actions.publish {
                Some(Publish::Serving) => serving = true,
                Some(Publish::Expired) => serving = false,
                None => assert!(!updated || serving, "an update that is not served"),
            }
            assert_eq!(serving, machine.soa().is_some() && !machine.is_expired());
            assert!(busy || machine.due().is_some(), "stuck after {event:?}");
            assert!(busy || machine.next_attempt().is_some(), "no attempt will follow {event:?}");
            if matches!(event, Event::Clock) && !busy {
                assert!(machine.due().unwrap() > now, "a timer that does not move after {event:?}");
            }
        }
    }
}

#[test]
fn a_zone_that_is_filled_on_demand_is_fetched_when_somebody_wants_it() {
    let mut machine = Machine::new(Settings { dormant: true, ..settings(1) });
    assert_eq!((machine.due(), machine.next_attempt()), (None, None));
    assert_eq!(machine.handle(Event::Clock, &at(s(10))), Actions::default());
    assert_eq!(machine.handle(notice(11), &at(s(10))), Actions::default());
    // Refused: it stays a cache until it is wanted again.
    for now in [20, 4000] {
        assert_eq!(want(machine.handle(Event::Demand, &at(s(now)))), Some((0, Want::Whole)));
        assert_eq!(machine.handle(Event::Demand, &at(s(now))), Actions::default());
        assert_eq!(machine.handle(Event::Ended(Ended::FailedThere), &at(s(now))), Actions::default());
        assert_eq!((machine.due(), machine.sleeps()), (None, true));
    }
    machine.handle(Event::Demand, &at(s(8000)));
    let actions = machine.handle(Event::Ended(Ended::Updated(SOA, None)), &at(s(8000)));
    assert_eq!(actions, Actions { attempt: None, publish: Some(Publish::Serving) });
    // From then on it is kept like any other, until it expires.
    assert_eq!((machine.due(), machine.sleeps()), (Some(s(8000 + 3600)), false));
    assert_eq!(machine.handle(Event::Demand, &at(s(8001))), Actions::default());
    assert_eq!(want(machine.handle(notice(11), &at(s(8002)))), Some((0, Want::Differences)));
}
