//! Tables of looks and what follows from them, at exact times.

use super::*;
use health::Report;

const LOOK: Duration = Duration::from_millis(200);

fn rules() -> Rules {
    let med = |med| Arc::new(RouteAttributes { med: Some(med), ..RouteAttributes::default() });
    Rules {
        rise: 3,
        fall: 2,
        hold_down_max: Duration::from_secs(60),
        graceful_shutdown: Duration::from_millis(500),
        up: med(0),
        degraded: med(1000),
        services: BTreeMap::from([("dns".to_owned(), vec!["192.0.2.0/24".parse().unwrap()])]),
    }
}

/// A machine and its time.
struct Bench {
    decision: Decision,
    start: Instant,
    now: Instant,
    others: Others,
    /// Each change of what is announced: when, and the metric.
    updates: Vec<(u128, Option<u32>)>,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(rules(), false, Damping::default())
    }

    fn with(rules: Rules, drained: bool, damping: Damping) -> Bench {
        let start = Instant::now();
        let decision = Decision::new(rules, drained, damping);
        Bench { decision, start, now: start, others: Others::Enough, updates: Vec::new() }
    }

    /// One that is up.
    fn up() -> Bench {
        let mut bench = Bench::new();
        bench.looks(3, &well());
        assert_eq!(bench.state(), State::Up);
        bench
    }

    fn conclude(&mut self) {
        let others = self.others;
        self.decision.conclude(self.now, |_| others);
        let metric = self.decision.attributes("dns").map(|attributes| attributes.med.unwrap());
        if self.updates.last().map_or(metric.is_some(), |(_, before)| *before != metric) {
            self.updates.push(((self.now - self.start).as_millis(), metric));
        }
    }

    fn look(&mut self, reading: &Reading) {
        self.decision.look(std::slice::from_ref(reading));
        self.conclude();
        self.now += LOOK;
    }

    fn looks(&mut self, number: u32, reading: &Reading) {
        (0..number).for_each(|_| self.look(reading));
    }

    fn state(&self) -> State {
        self.decision.state()
    }

    fn announced(&self) -> bool {
        self.decision.announced("dns")
    }
}

fn read(report: Report) -> Reading {
    Reading { report, silent: false }
}

fn well() -> Reading {
    read(Report::up())
}

fn worse() -> Reading {
    read(Report::hard(State::Degraded, "some lanes are stuck"))
}

fn unfit() -> Reading {
    read(Report::soft(State::Degraded, "a zone is stale"))
}

fn failed() -> Reading {
    read(Report::hard(State::Down, "nothing answers"))
}

fn silent() -> Reading {
    Reading { report: Report::hard(State::Down, "has ended"), silent: true }
}

#[test]
fn severity_follows_from_state_and_softness() {
    let severity = |state, soft| Severity::of(&read(Report { state, soft, why: String::new() }));
    assert_eq!((severity(State::Up, false), severity(State::Up, true)), (Severity::Well, Severity::Well));
    assert_eq!((severity(State::Degraded, false), severity(State::Degraded, true)), (Severity::Worse, Severity::Unfit));
    for state in [State::Draining, State::Down] {
        assert_eq!((severity(state, false), severity(state, true)), (Severity::Failed, Severity::Unfit));
    }
}

#[test]
fn a_node_answers_before_it_is_announced() {
    let mut bench = Bench::new();
    bench.looks(5, &failed());
    assert_eq!((bench.state(), bench.decision.adverts().cause), (State::Down, Cause::Starting));
    bench.looks(2, &well());
    bench.look(&failed());
    bench.looks(2, &well());
    assert!(!bench.announced(), "not three in a row");
    bench.look(&well());
    assert_eq!((bench.state(), bench.decision.adverts().cause), (State::Up, Cause::Health));
    assert_eq!(bench.decision.adverts().routes.len(), 1);
    assert_eq!(bench.decision.transitions(), 1);
}

#[test]
fn the_worst_of_several_readings_counts_and_none_is_none_at_all() {
    let mut bench = Bench::up();
    for _ in 0..2 {
        bench.decision.look(&[well(), worse(), well()]);
        bench.conclude();
    }
    assert_eq!(bench.state(), State::Degraded);
    for _ in 0..2 {
        bench.decision.look(&[]);
        bench.conclude();
    }
    assert_eq!(bench.state(), State::Down);
}

#[test]
fn one_bad_look_is_no_failure_but_silence_is_at_once() {
    for bad in [worse(), unfit(), failed()] {
        let mut bench = Bench::up();
        for _ in 0..20 {
            bench.look(&bad);
            bench.look(&well());
        }
        assert_eq!((bench.state(), bench.updates.len()), (State::Up, 1), "{bad:?}");
        bench.looks(2, &bad);
        assert_ne!(bench.state(), State::Up, "{bad:?}");
    }
    let mut bench = Bench::up();
    bench.look(&silent());
    assert_eq!((bench.state(), bench.announced()), (State::Down, false));
}

#[test]
fn degraded_is_announced_worse_and_recovers_by_rise() {
    let mut bench = Bench::up();
    bench.looks(10, &worse());
    bench.looks(10, &well());
    // Worse with the second bad look; better with the third good one, which is past the first hold-down.
    assert_eq!(bench.updates, [(400, Some(0)), (800, Some(1000)), (3000, Some(0))]);
    assert_eq!(bench.decision.transitions(), 1, "never withdrawn");
}

#[test]
fn a_failure_withdraws_whatever_the_others_say() {
    for others in [Others::TooFew, Others::Enough, Others::Granted] {
        let mut bench = Bench::up();
        bench.others = others;
        bench.looks(2, &failed());
        assert_eq!((bench.state(), bench.announced()), (State::Down, false), "{others:?}");
    }
}

#[test]
fn an_unfit_node_leaves_only_with_the_promise_of_others() {
    let mut bench = Bench::up();
    assert_eq!(bench.decision.wishes(bench.now).count(), 0);
    bench.looks(2, &unfit());
    assert_eq!(bench.state(), State::Degraded, "enough is no promise");
    assert_eq!(bench.decision.wishes(bench.now).collect::<Vec<_>>(), ["dns"]);
    bench.others = Others::Granted;
    bench.look(&unfit());
    assert_eq!((bench.state(), bench.announced()), (State::Down, false));
    assert_eq!(bench.decision.wishes(bench.now).count(), 0);
    bench.others = Others::Enough;
    bench.looks(50, &unfit());
    assert!(!bench.announced(), "stays away while there are enough");
    bench.others = Others::TooFew;
    bench.look(&unfit());
    assert_eq!(bench.state(), State::Degraded, "comes back at once when there are not");
    assert_eq!(bench.decision.wishes(bench.now).count(), 0, "but does not ask again at once");
    bench.now += Duration::from_secs(10);
    assert_eq!(bench.decision.wishes(bench.now).count(), 1);
}

#[test]
fn an_unfit_node_that_starts_helps_out_only_where_it_is_needed() {
    let mut bench = Bench::new();
    bench.looks(10, &unfit());
    assert!(!bench.announced());
    bench.others = Others::TooFew;
    bench.look(&unfit());
    assert_eq!(bench.state(), State::Degraded);
}

#[test]
fn a_drain_is_graceful_and_then_withdraws() {
    let mut bench = Bench::up();
    bench.decision.set_drained(true);
    bench.conclude();
    let attributes = bench.decision.attributes("dns").unwrap();
    assert_eq!((attributes.med, attributes.communities.as_slice()), (Some(0), &[GRACEFUL_SHUTDOWN][..]));
    assert_eq!((bench.state(), bench.decision.is_well("dns")), (State::Draining, false));
    assert_eq!(bench.decision.next_deadline(), Some(bench.now + Duration::from_millis(500)));
    bench.now += Duration::from_millis(499);
    bench.conclude();
    assert!(bench.announced());
    bench.now += Duration::from_millis(1);
    bench.conclude();
    assert_eq!((bench.state(), bench.announced()), (State::Draining, false));
    assert_eq!(bench.decision.adverts().cause, Cause::Draining);
    bench.looks(10, &well());
    assert!(!bench.announced());
    bench.decision.set_drained(false);
    bench.conclude();
    assert_eq!(bench.state(), State::Up, "a drain is no flap");
}

#[test]
fn a_drain_without_grace_withdraws_at_once_and_a_failure_ends_the_grace() {
    let none = Rules { graceful_shutdown: Duration::ZERO, ..rules() };
    let mut bench = Bench::with(none, false, Damping::default());
    bench.looks(3, &well());
    bench.decision.leave();
    bench.conclude();
    assert!(!bench.announced());
    let mut bench = Bench::up();
    bench.decision.set_drained(true);
    bench.look(&silent());
    assert_eq!((bench.announced(), bench.state()), (false, State::Draining));
}

#[test]
fn an_unfit_or_degraded_node_drains_with_the_attributes_it_has() {
    let mut bench = Bench::up();
    bench.looks(2, &worse());
    bench.decision.leave();
    bench.conclude();
    assert_eq!(bench.decision.attributes("dns").unwrap().med, Some(1000));
    assert_eq!(bench.decision.wishes(bench.now).count(), 0);
}

#[test]
fn who_was_drained_before_the_start_never_announces() {
    let mut bench = Bench::with(rules(), true, Damping::default());
    bench.looks(100, &well());
    assert_eq!((bench.state(), bench.updates.len()), (State::Draining, 0));
}

#[test]
fn a_hundred_flaps_in_a_minute_are_a_bounded_number_of_updates() {
    for bad in [worse(), failed(), silent()] {
        let mut bench = Bench::up();
        bench.updates.clear();
        // Each flap is a hundredth of a minute: three looks, of which two are bad.
        let rules = Rules { rise: 1, fall: 1, ..rules() };
        bench.decision.apply(rules);
        let end = bench.now + Duration::from_secs(60);
        while bench.now < end {
            bench.looks(2, &bad);
            bench.look(&well());
        }
        assert!(bench.updates.len() <= 14, "{bad:?}: {:?}", bench.updates);
        bench.updates.clear();
        for _ in 0..100 {
            bench.looks(2, &bad);
            bench.look(&well());
        }
        assert!(bench.updates.len() <= 3, "the second minute, {bad:?}: {:?}", bench.updates);
        bench.now += Duration::from_secs(61);
        bench.looks(1, &well());
        assert_eq!(bench.state(), State::Up);
    }
}

#[test]
fn a_quota_that_wavers_is_a_bounded_number_of_updates() {
    let mut bench = Bench::up();
    bench.looks(2, &unfit());
    bench.updates.clear();
    for round in 0..300 {
        let asked = bench.decision.wishes(bench.now).count() == 1;
        bench.others = if round % 2 == 0 && asked { Others::Granted } else { Others::TooFew };
        bench.look(&unfit());
    }
    assert!(bench.updates.len() <= 14, "{:?}", bench.updates);
}

#[test]
fn hold_down_doubles_and_is_forgotten() {
    let (mut now, max) = (Instant::now(), Duration::from_secs(10));
    let mut damping = Damping::default();
    for hold_s in [1, 2, 4, 8, 10, 10] {
        damping.flap(now, max);
        assert_eq!(damping.hold().as_secs(), hold_s);
        assert!(!damping.over(now));
        now += damping.hold();
        assert!(damping.over(now));
        now += Duration::from_millis(9_999);
    }
    now += Duration::from_millis(1);
    damping.flap(now, max);
    assert_eq!(damping.hold().as_secs(), 1);
    damping.flap(now, Duration::ZERO);
    assert!(damping.over(now), "switched off");
}

#[test]
fn what_an_earlier_run_left_holds_down_the_first_announcement() {
    let now = Instant::now();
    let damping = Damping::remembered(Duration::from_secs(8), Duration::from_secs(3), now);
    let mut bench = Bench::with(rules(), false, damping);
    bench.looks(20, &well());
    assert!(!bench.announced());
    assert!(bench.decision.held_until("dns").is_some());
    bench.looks(10, &well());
    assert_eq!(bench.state(), State::Up);
}

#[test]
fn other_rules_hold_from_the_next_conclusion_on() {
    let mut bench = Bench::up();
    let mut other = rules();
    other.services.insert("web".to_owned(), vec!["198.51.100.0/24".parse().unwrap()]);
    other.up = Arc::new(RouteAttributes { med: Some(7), ..RouteAttributes::default() });
    bench.decision.apply(other);
    bench.conclude();
    assert_eq!(bench.decision.adverts().routes.len(), 2);
    assert!(bench.decision.adverts().routes.values().all(|attributes| attributes.med == Some(7)));
    bench.decision.apply(rules());
    bench.conclude();
    assert_eq!(bench.decision.adverts().routes.len(), 1);
}
