use super::*;
use crate::on_demand::zone::{LAME_FOR, UpstreamCounts};

/// A machine with a zone, driven by hand: waiters are numbers, answers are words.
struct Bench {
    questions: Questions<u32, &'static str>,
    now: Duration,
    actions: Vec<Action<u32, &'static str>>,
    random: u64,
}

const ZONE: u64 = 7;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn key(name: &str) -> Key {
    Key { zone: ZONE, qname: name.parse().unwrap(), qtype: Rtype::A }
}

fn way(last: u8) -> Way {
    (([192, 0, 2, last], 53).into(), None)
}

fn settings(upstreams: u8) -> Settings {
    Settings {
        misses_per_s_max: 1000,
        misses_in_flight_max: 100,
        clients_waiting_max: 1000,
        client_wait: ms(1800),
        try_wait: ms(800),
        ways: (1..=upstreams).map(|last| (way(last), Transport::Udp)).collect(),
    }
}

/// What a test expects to be done.
#[derive(Debug, PartialEq)]
enum Done {
    Try(u64, usize, Transport),
    Told(u32, Verdict<&'static str>),
    Kept(&'static str),
}

use Done::{Told, Try};
use Transport::{Tcp, Udp};

impl Bench {
    fn new(settings: Settings) -> Bench {
        // Never explores: the upper half is odd.
        let mut bench = Bench { questions: Questions::new(), now: ms(0), actions: Vec::new(), random: 1 << 32 };
        bench.with(|questions, context| questions.configure(ZONE, settings, context));
        bench
    }

    fn with(&mut self, event: impl FnOnce(&mut Questions<u32, &'static str>, &mut Context<'_, u32, &'static str>)) {
        let random = self.random;
        let mut random = || random;
        let mut context = Context { now: self.now, random: &mut random, actions: &mut self.actions };
        event(&mut self.questions, &mut context);
    }

    fn done(&mut self) -> Vec<Done> {
        let done = |action| match action {
            Action::Try { id, upstream, transport, .. } => Try(id, upstream, transport),
            Action::Complete(waiter, verdict) => Told(waiter, verdict),
            Action::Keep(_, answer) => Done::Kept(answer),
        };
        self.actions.drain(..).map(done).collect()
    }

    fn ask(&mut self, name: &str, waiter: u32, stale: Option<&'static str>) -> Vec<Done> {
        let ask = Ask { key: key(name), purpose: Purpose::New, waiter: Some(waiter), stale };
        self.with(|questions, context| questions.ask(ask, context));
        self.done()
    }

    fn prefetch(&mut self, name: &str) -> Vec<Done> {
        let ask = Ask { key: key(name), purpose: Purpose::Early, waiter: None, stale: None };
        self.with(|questions, context| questions.ask(ask, context));
        self.done()
    }

    /// The id of the only try that begins when this is asked.
    fn try_of(&mut self, name: &str, waiter: u32) -> u64 {
        match &self.ask(name, waiter, None)[..] {
            [Try(id, ..)] => *id,
            other => panic!("{other:?}"),
        }
    }

    fn ended(&mut self, id: u64, ended: Ended<&'static str>) -> Vec<Done> {
        self.with(|questions, context| questions.ended(id, ended, context));
        self.done()
    }

    fn at(&mut self, now_ms: u64) -> Vec<Done> {
        self.now = ms(now_ms);
        self.with(|questions, context| questions.clock(context));
        self.done()
    }

    fn counts(&self) -> ZoneCounts {
        self.questions.zone(ZONE).unwrap().counts
    }

    fn upstream_counts(&self, upstream: usize) -> UpstreamCounts {
        self.questions.zone(ZONE).unwrap().upstreams[upstream].counts
    }

    fn is_idle(&self) -> bool {
        let zone = self.questions.zone(ZONE).unwrap();
        let tables = (self.questions.flights.len(), self.questions.by_key.len(), self.questions.tries.len());
        tables == (0, 0, 0) && (zone.in_flight, zone.waiting) == (0, 0)
    }
}

use crate::on_demand::zone::ZoneCounts;

fn answered(rtt_ms: u64) -> Ended<&'static str> {
    Ended::Answered(ms(rtt_ms), "answer")
}

fn answer(waiter: u32) -> Done {
    Told(waiter, Verdict::Answer("answer"))
}

fn stale(waiter: u32) -> Done {
    Told(waiter, Verdict::Stale("old"))
}

fn failed(waiter: u32, failure: Failure) -> Done {
    Told(waiter, Verdict::Failed(failure))
}

#[test]
fn the_same_question_is_asked_once() {
    let mut bench = Bench::new(settings(1));
    let id = bench.try_of("www.test", 1);
    assert_eq!(bench.ask("WWW.test", 2, None), []);
    assert_eq!(bench.ask("www.TEST", 3, None), []);
    assert_eq!(bench.ended(id, answered(5)), [answer(1), answer(2), answer(3)]);
    let expected = ZoneCounts { misses: 3, coalesced: 2, ..ZoneCounts::default() };
    assert_eq!(bench.counts(), expected);
    assert!(bench.is_idle());
    // What ends twice ends once.
    assert_eq!(bench.ended(id, answered(5)), []);
}

#[test]
fn a_storm_takes_its_budget_and_no_more() {
    let mut limited = settings(1);
    (limited.misses_per_s_max, limited.misses_in_flight_max) = (200, 10_000);
    let mut bench = Bench::new(limited);
    let (mut asked, mut told) = (0, 0);
    for number in 0..50_000u32 {
        bench.now = ms(u64::from(number) / 25);
        for done in bench.ask(&format!("x{number}.test"), number, None) {
            match done {
                Try(id, ..) => {
                    asked += 1;
                    told += bench.ended(id, answered(3)).len();
                }
                Told(_, verdict) => {
                    assert_eq!(verdict, Verdict::Failed(Failure::OverBudget));
                    told += 1;
                }
                Done::Kept(_) => panic!("nothing to keep"),
            }
        }
    }
    // Two seconds; an eighth is kept for names that are known.
    assert_eq!((asked, told), (350, 50_000));
    let known =
        (0..100).filter(|number| matches!(bench.ask(&format!("k{number}.test"), 1, Some("old"))[..], [Try(..)]));
    assert_eq!(known.count(), 25);
    assert!(bench.counts().over_budget >= 49_650);
}

#[test]
fn bounds_on_questions_and_on_clients() {
    let mut limited = settings(1);
    (limited.misses_in_flight_max, limited.clients_waiting_max) = (2, 3);
    let mut bench = Bench::new(limited);
    let first = bench.try_of("a.test", 1);
    bench.try_of("b.test", 2);
    assert_eq!(bench.ask("c.test", 3, None), [failed(3, Failure::OverBudget)]);
    assert_eq!(bench.ask("c.test", 3, Some("old")), [stale(3)]);
    assert_eq!(bench.ask("a.test", 4, None), []);
    assert_eq!(bench.ask("a.test", 5, None), [failed(5, Failure::OverBudget)]);
    assert_eq!(bench.ended(first, answered(1)), [answer(1), answer(4)]);
    bench.try_of("c.test", 6);
    assert_eq!(bench.counts().over_budget, 3);
}

#[test]
fn the_next_upstream_when_one_says_nothing_or_errs() {
    for (bad, fails) in
        [(Ended::Silent, false), (Ended::Unfit(ms(1), None), true), (Ended::Lame(ms(1)), true), (Ended::Unasked, true)]
    {
        let mut bench = Bench::new(settings(2));
        let first = bench.try_of("a.test", 1);
        let next = bench.ended(first, bad.clone());
        let [Try(second, 1, Udp)] = next[..] else { panic!("{next:?}") };
        assert_eq!(bench.ended(second, answered(9)), [answer(1)]);
        assert_eq!(bench.upstream_counts(0).failed, u64::from(fails));
        assert_eq!(bench.upstream_counts(0).timeouts, u64::from(!fails));
        assert_eq!(bench.upstream_counts(1).answered, 1);
        assert!(bench.is_idle());
    }
}

#[test]
fn lame_ones_come_last_for_a_while() {
    let mut bench = Bench::new(settings(2));
    let first = bench.try_of("a.test", 1);
    let [Try(second, 1, _)] = bench.ended(first, Ended::Lame(ms(1)))[..] else { panic!() };
    bench.ended(second, answered(400));
    let lame = bench.questions.zone(ZONE).unwrap().upstreams[0].clone();
    assert_eq!(bench.questions.health(&lame, bench.now), Health::Lame);
    for number in 0..10 {
        let done = bench.ask(&format!("b{number}.test"), 1, None);
        let [Try(id, 1, _)] = done[..] else { panic!("{done:?}") };
        bench.ended(id, answered(400));
    }
    // When the other errs it is asked all the same.
    let id = bench.try_of("c.test", 1);
    assert!(matches!(bench.ended(id, Ended::Unfit(ms(400), None))[..], [Try(_, 0, _)]));
    bench.now = LAME_FOR;
    let done = bench.ask("d.test", 1, None);
    assert!(matches!(done[..], [Try(_, 0, _)]), "{done:?}");
}

#[test]
fn truncated_and_doubtful_answers_are_fetched_over_tcp() {
    for ended in [Ended::Truncated(ms(2)), Ended::Doubtful] {
        let mut bench = Bench::new(settings(2));
        let udp = bench.try_of("a.test", 1);
        let next = bench.ended(udp, ended.clone());
        let [Try(tcp, 0, Tcp)] = next[..] else { panic!("{next:?}") };
        assert_eq!(bench.ended(tcp, answered(4)), [answer(1)]);
        // The same over TCP makes no sense: the next one.
        let udp = bench.try_of("b.test", 1);
        let [Try(tcp, upstream, Tcp)] = bench.ended(udp, ended.clone())[..] else { panic!() };
        let [Try(_, other, Udp)] = bench.ended(tcp, ended)[..] else { panic!() };
        assert_ne!(upstream, other);
    }
}

#[test]
fn a_cookie_is_brought_once() {
    let mut bench = Bench::new(settings(1));
    let first = bench.try_of("a.test", 1);
    let [Try(second, 0, Udp)] = bench.ended(first, Ended::BadCookie(ms(1)))[..] else { panic!() };
    let [Try(third, 0, Tcp)] = bench.ended(second, Ended::BadCookie(ms(1)))[..] else { panic!() };
    assert_eq!(bench.ended(third, Ended::BadCookie(ms(1))), [failed(1, Failure::Broken)]);
    assert!(bench.is_idle());
}

#[test]
fn every_question_on_the_wire_counts() {
    let mut limited = settings(1);
    limited.misses_per_s_max = 2;
    let mut bench = Bench::new(limited);
    let first = bench.try_of("a.test", 1);
    let [Try(second, ..)] = bench.ended(first, Ended::BadCookie(ms(1)))[..] else { panic!() };
    assert_eq!(bench.ended(second, Ended::Truncated(ms(1))), [failed(1, Failure::OverBudget)]);
    // That says nothing about the name.
    bench.now = ms(1000);
    bench.try_of("a.test", 2);
}

#[test]
fn an_upstream_that_is_slower_than_usual_gets_company() {
    let mut bench = Bench::new(settings(2));
    for number in 0..40 {
        let done = bench.ask(&format!("x{number}.test"), 1, None);
        let [Try(id, upstream, _)] = done[..] else { panic!("{done:?}") };
        bench.ended(id, answered([10, 30][upstream]));
    }
    let first = bench.try_of("a.test", 1);
    assert_eq!(bench.at(39), []);
    let next = bench.at(40);
    let [Try(second, 1, Udp)] = next[..] else { panic!("{next:?}") };
    assert_eq!(bench.ended(second, answered(30)), [answer(1)]);
    // The first is still listened to: its silence counts.
    bench.now = ms(800);
    assert_eq!(bench.ended(first, Ended::Silent), []);
    assert_eq!(bench.upstream_counts(0).timeouts, 1);
    assert!(bench.is_idle());
    let done = bench.ask("b.test", 2, None);
    assert!(matches!(done[..], [Try(_, 1, _)]), "{done:?}");
}

#[test]
fn a_silent_origin_is_asked_three_times_and_then_left_alone() {
    let mut patient = settings(1);
    patient.client_wait = ms(4000);
    let mut bench = Bench::new(patient);
    let mut id = bench.try_of("a.test", 1);
    for number in 1..=2 {
        bench.now = ms(number * 800);
        let next = bench.ended(id, Ended::Silent);
        let [Try(next, 0, Udp)] = next[..] else { panic!("{next:?}") };
        id = next;
    }
    bench.now = ms(2400);
    assert_eq!(bench.ended(id, Ended::Silent), [failed(1, Failure::NoOrigin)]);
    // Down: others fail at once, and nothing is sent.
    assert_eq!(bench.ask("b.test", 2, None), [failed(2, Failure::NoOrigin)]);
    assert_eq!(bench.ask("b.test", 2, Some("old")), [stale(2)]);
    bench.now = ms(3399);
    assert_eq!(bench.ask("c.test", 3, None), [failed(3, Failure::NoOrigin)]);
    // One question sees whether it is back; whoever has an old answer does not wait for it.
    bench.now = ms(3400);
    let done = bench.ask("c.test", 4, Some("old"));
    let [Try(probe, 0, Udp), Told(4, Verdict::Stale("old"))] = done[..] else { panic!("{done:?}") };
    assert_eq!(bench.ask("d.test", 5, None), [failed(5, Failure::NoOrigin)]);
    assert_eq!(bench.ask("c.test", 6, Some("old")), [stale(6)]);
    bench.now = ms(3410);
    assert_eq!(bench.ended(probe, answered(10)), []);
    bench.try_of("d.test", 7);
}

#[test]
fn one_that_was_down_is_tried_beside_one_that_is_up() {
    let mut bench = Bench::new(settings(2));
    for number in 0..3 {
        let id = bench.try_of(&format!("x{number}.test"), 1);
        let next = bench.ended(id, Ended::Silent);
        match next[..] {
            [Try(other, 1, _)] => drop(bench.ended(other, answered(900))),
            [Try(other, 0, _)] => drop(bench.ended(other, Ended::Silent)),
            _ => panic!("{next:?}"),
        }
    }
    let down = (0..2).find(|&up| bench.questions.reach(&way(up + 1)).unwrap().health() == Health::Down);
    let Some(down) = down.map(usize::from) else { return };
    bench.now = ms(1000);
    let done = bench.ask("a.test", 1, None);
    let [Try(first, up, _), Try(probe, probed, _)] = done[..] else { panic!("{done:?}") };
    assert_eq!((probed, up), (down, 1 - down));
    assert_eq!(bench.ended(first, answered(900)), [answer(1)]);
    assert_eq!(bench.ended(probe, answered(1)), []);
    let done = bench.ask("b.test", 1, None);
    assert!(matches!(done[..], [Try(_, upstream, _)] if upstream == down), "{done:?}");
}

#[test]
fn who_has_waited_gets_the_old_answer_and_the_question_goes_on() {
    let mut bench = Bench::new(settings(1));
    let done = bench.ask("a.test", 1, Some("old"));
    let [Try(first, ..)] = done[..] else { panic!("{done:?}") };
    bench.now = ms(800);
    let [Try(second, ..)] = bench.ended(first, Ended::Silent)[..] else { panic!() };
    assert_eq!(bench.ask("a.test", 2, Some("old")), []);
    assert_eq!(bench.at(1799), []);
    assert_eq!(bench.at(1800), [stale(1), stale(2)]);
    assert_eq!(bench.ask("a.test", 3, Some("old")), [stale(3)]);
    assert_eq!(bench.ended(second, answered(900)), []);
    assert_eq!(bench.counts().stale, 3);
    assert!(bench.is_idle());
}

#[test]
fn a_question_is_given_up_in_the_end() {
    let mut bench = Bench::new(settings(1));
    let first = bench.try_of("a.test", 1);
    assert_eq!(bench.questions.due(), Some(ms(1800)));
    assert_eq!(bench.at(1799), []);
    // Who has waited is told; the question goes on, for whoever comes next.
    assert_eq!(bench.at(1800), [failed(1, Failure::NoOrigin)]);
    assert_eq!(bench.at(3300), []);
    assert_eq!(bench.ask("a.test", 2, None), []);
    assert_eq!(bench.at(5000), [failed(2, Failure::NoOrigin)]);
    assert_eq!((bench.at(5001), bench.questions.due()), (vec![], None));
    assert_eq!(bench.ended(first, Ended::Silent), []);
    assert!(bench.is_idle());
}

#[test]
fn failures_are_remembered() {
    let mut bench = Bench::new(settings(1));
    let id = bench.try_of("a.test", 1);
    assert_eq!(bench.ended(id, Ended::Unfit(ms(1), None)), [failed(1, Failure::Broken)]);
    bench.now = ms(999);
    assert_eq!(bench.ask("a.test", 2, None), [failed(2, Failure::Broken)]);
    assert_eq!(bench.ask("a.test", 2, Some("old")), [stale(2)]);
    bench.now = ms(1000);
    let id = bench.try_of("a.test", 3);
    bench.ended(id, answered(1));
    bench.try_of("a.test", 4);
}

#[test]
fn an_error_that_all_agree_on_is_passed_on() {
    let mut bench = Bench::new(settings(2));
    let id = bench.try_of("a.test", 1);
    let [Try(id, ..)] = bench.ended(id, Ended::Unfit(ms(1), Some("notimp")))[..] else { panic!() };
    let done = bench.ended(id, Ended::Unfit(ms(1), None));
    assert_eq!(done, [Done::Kept("notimp"), Told(1, Verdict::Answer("notimp"))]);
    // An old answer is better than an error.
    let done = bench.ask("b.test", 1, Some("old"));
    let [Try(id, ..)] = done[..] else { panic!("{done:?}") };
    let [Try(id, ..)] = bench.ended(id, Ended::Unfit(ms(1), Some("notimp")))[..] else { panic!() };
    assert_eq!(bench.ended(id, Ended::Unfit(ms(1), None)), [stale(1)]);
}

#[test]
fn a_purge_puts_questions_anew() {
    let mut bench = Bench::new(settings(1));
    let before = bench.try_of("a.test", 1);
    let early = bench.prefetch("b.test");
    assert!(matches!(early[..], [Try(..)]));
    bench.with(|questions, context| questions.restart(|_| true, context));
    let done = bench.done();
    let [Try(after, ..)] = done[..] else { panic!("{done:?}") };
    assert_eq!(bench.ended(before, Ended::Answered(ms(1), "from before")), []);
    assert_eq!(bench.ended(after, answered(1)), [answer(1)]);
    // Remembered failures are forgotten with it.
    let id = bench.try_of("c.test", 1);
    bench.ended(id, Ended::Unfit(ms(1), None));
    bench.with(|questions, context| questions.restart(|_| true, context));
    bench.try_of("c.test", 1);
}

#[test]
fn a_zone_that_goes_tells_who_waits() {
    let mut bench = Bench::new(settings(1));
    let id = bench.try_of("a.test", 1);
    bench.with(|questions, context| questions.remove(ZONE, context));
    assert_eq!(bench.done(), [failed(1, Failure::Gone)]);
    assert_eq!(bench.ended(id, answered(1)), []);
    assert_eq!(bench.ask("a.test", 2, None), [failed(2, Failure::Gone)]);
    assert!(bench.questions.reach(&way(1)).is_none());
}

#[test]
fn new_settings_put_questions_anew() {
    let mut bench = Bench::new(settings(1));
    let id = bench.try_of("a.test", 1);
    bench.with(|questions, context| questions.configure(ZONE, settings(1), context));
    assert_eq!(bench.done(), []);
    let mut other = settings(0);
    other.ways = vec![(way(9), Tcp)];
    bench.with(|questions, context| questions.configure(ZONE, other, context));
    let done = bench.done();
    let [Try(after, 0, Tcp)] = done[..] else { panic!("{done:?}") };
    assert_eq!(bench.ended(id, answered(1)), []);
    assert_eq!(bench.ended(after, answered(1)), [answer(1)]);
    assert_eq!(
        bench.upstream_counts(0),
        UpstreamCounts { asked: 1, over_tcp: 1, answered: 1, ..UpstreamCounts::default() }
    );
}

#[test]
fn early_questions_stand_back() {
    let mut limited = settings(1);
    limited.misses_per_s_max = 4;
    let mut bench = Bench::new(limited);
    for (name, begins) in [("a.test", true), ("b.test", true), ("c.test", false)] {
        assert_eq!(matches!(bench.prefetch(name)[..], [Try(..)]), begins, "{name}");
    }
    bench.try_of("d.test", 1);
    // A client joins what was begun early.
    assert_eq!(bench.ask("a.test", 2, None), []);
    assert_eq!(bench.counts().prefetched, 3);
}
