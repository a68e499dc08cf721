//! `bench change`: one record of a large zone changed by `nsupdate`, again and again; how long until the subject, told
//! by NOTIFY, answers with it; and whether it answers other questions all the while.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use parapet_lab::{LabError, Lanes, Namespace, Updates, dns};

use super::{
    Options, progress,
    report::{Report, Samples, quantile},
    rig::{Rig, ZONE},
    transfer::wait_until_served,
};
use crate::subject::Running;

/// A change that is not there after this time ends the benchmark.
const CHANGE_DEADLINE: Duration = Duration::from_secs(30);
/// How long one look at the changed record waits for its answer; a lost question is asked again.
const LOOK: Duration = Duration::from_millis(200);
/// Questions meanwhile: one each.
const ASK_EVERY: Duration = Duration::from_millis(1);
/// After the last question, its answer may take this long.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Between the answer to one change and the next change.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at the changed record: what the delays are known to.
const LOOK_AGAIN: Duration = Duration::from_micros(300);
/// The subject of the rows on the origin itself: what no edge can be faster than.
const ORIGIN: &str = "origin";
/// The record that changes.
const RECORD: &str = "n000042";

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let case = format!("{} records", options.records());
    let mut samples = Samples::new("change", options.subjects());
    progress("building the network and the zone");
    let rig = Rig::build("bench-change", options.records())?.lanes(options.lane);
    if options.lane == Lanes::Kernel {
        rig.net.host("client").take_xdp("server")?;
    }
    let mut next = 0;
    for repeat in 1..=options.repeats() {
        progress(&format!("repeat {repeat} of {}: the origin itself", options.repeats()));
        let origin = (rig.net.host("origin"), rig.origin.v4());
        let delays = changes(&rig, origin, &mut next, options.changes)?;
        add_delays(&mut samples, ORIGIN, &case, delays);
        for &subject in options.subjects() {
            progress(&format!("repeat {repeat} of {}: {}", options.repeats(), subject.name()));
            let server = rig.start(subject, None, false)?;
            wait_until_served(&rig, &server)?;
            let background = Background::start(rig.net.host("client"), server.v4())?;
            let delays = changes(&rig, (rig.net.host("client"), server.v4()), &mut next, options.changes)
                .with_context(|| server_end(&server))?;
            let (asked, lost) = background.end()?;
            server.stop()?;
            add_delays(&mut samples, subject.name(), &case, delays);
            samples.add(subject.name(), &case, "asked_meanwhile", f64::from(asked), "queries");
            samples.add(subject.name(), &case, "lost_meanwhile", f64::from(lost), "queries");
        }
    }
    Ok(samples.finish())
}

fn add_delays(samples: &mut Samples, subject: &str, case: &str, delays_ms: Vec<f64>) {
    samples.add(subject, case, "delay_median", quantile(delays_ms.clone(), 0.5), "ms");
    samples.add(subject, case, "delay_p99", quantile(delays_ms.clone(), 0.99), "ms");
    samples.add(subject, case, "delay_max", quantile(delays_ms, 1.0), "ms");
}

/// So many changes, one after the other was seen; the delay of each in milliseconds.
fn changes(rig: &Rig, (from, server): (&Namespace, IpAddr), next: &mut u32, count: u32) -> anyhow::Result<Vec<f64>> {
    let updates = rig.origin.open_updates(ZONE)?;
    let mut client = dns::Client::new(from, SocketAddr::new(server, dns::PORT))?;
    (0..count)
        .map(|_| {
            *next += 1;
            thread::sleep(PAUSE);
            one_change(&updates, &mut client, *next)
        })
        .collect()
}

/// From handing the change to `nsupdate` to the first answer that has it.
fn one_change(updates: &Updates, client: &mut dns::Client, number: u32) -> anyhow::Result<f64> {
    let [_, a, b, c] = number.to_be_bytes();
    let address = IpAddr::from([172, a, b, c]);
    let name = format!("{RECORD}.{ZONE}");
    let start = Instant::now();
    updates.send(&format!("update delete {name}. A\nupdate add {name}. 300 A {address}"))?;
    loop {
        if client.ask_once(&name, dns::Rtype::A, LOOK).is_some_and(|reply| reply.addresses() == [address]) {
            return Ok(start.elapsed().as_secs_f64() * 1e3);
        }
        thread::sleep(LOOK_AGAIN);
        if start.elapsed() > CHANGE_DEADLINE {
            bail!("change {number} was not answered within {CHANGE_DEADLINE:?}; nsupdate said: {}", updates.output());
        }
    }
}

fn server_end(server: &Running) -> String {
    let output = server.process().output();
    let last: Vec<&str> = output.lines().rev().take(10).collect();
    let lines: Vec<&str> = last.into_iter().rev().collect();
    format!("{} said last:\n{}", server.subject(), lines.join("\n"))
}

/// Questions asked at a steady pace while the changes go on.
struct Background {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    asker: JoinHandle<()>,
    answered: JoinHandle<u32>,
}

impl Background {
    fn start(namespace: &Namespace, server: IpAddr) -> anyhow::Result<Background> {
        let bound = namespace.enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))?.context("opening a socket")?;
        bound.connect((server, dns::PORT))?;
        bound.set_read_timeout(Some(LAST_ANSWER))?;
        let socket = Arc::new(bound);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicU32::new(0));
        let asker = {
            let (socket, stop, asked) = (Arc::clone(&socket), Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || ask_until(&socket, &stop, &asked))
        };
        let answered = {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || count_answers(&socket, &stop, &asked))
        };
        Ok(Background { stop, asked, asker, answered })
    }

    /// Stop asking; how many were asked, how many of them never answered.
    fn end(self) -> Result<(u32, u32), LabError> {
        self.stop.store(true, Ordering::Relaxed);
        let broken = |_| LabError::Invalid("the thread that asks meanwhile has panicked".to_owned());
        self.asker.join().map_err(broken)?;
        let answered = self.answered.join().map_err(broken)?;
        let asked = self.asked.load(Ordering::Relaxed);
        Ok((asked, asked.saturating_sub(answered)))
    }
}

fn ask_until(socket: &std::net::UdpSocket, stop: &AtomicBool, asked: &AtomicU32) {
    let start = Instant::now();
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("n{:06}.{ZONE}", number % 100);
        let id = (number & 0xffff) as u16;
        let query = dns::encode_query(id, &name, dns::Rtype::A).unwrap_or_default();
        if socket.send(&query).is_ok() {
            asked.fetch_add(1, Ordering::Relaxed);
        }
        number = number.wrapping_add(1);
        let due = start + ASK_EVERY * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Answers with NOERROR and a record; anything else counts as lost.
fn count_answers(socket: &std::net::UdpSocket, stop: &AtomicBool, asked: &AtomicU32) -> u32 {
    let mut buffer = [0; 2048];
    let mut answered = 0;
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) if length > 12 => {
                let good = matches!(buffer, [_, _, flags, rcode, _, _, _, answers, ..] if answers > 0 && flags & 0x80 != 0 && rcode & 0xf == 0);
                answered += u32::from(good);
            }
            Ok(_) => {}
            Err(_) if stop.load(Ordering::Relaxed) => return answered,
            Err(_) => {}
        }
        if stop.load(Ordering::Relaxed) && answered >= asked.load(Ordering::Relaxed) {
            return answered;
        }
    }
}
