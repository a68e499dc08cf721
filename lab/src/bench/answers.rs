//! `bench answers`: one core for the server, the load generator on another, a wire between them.
//!
//! `--lane kernel` is the same with what is answered before the network stack: Parapet's kernel lane, Knot with XDP, and an
//! echo as the limit of both, beside those that answer by sockets. There
//!
//! - what arrives at each end of the wire is worked on by a thread of the kernel on the core of that end ([`Receiver`]): an
//!   answer from the kernel would be given by the core that asks, and a server by sockets spared what receiving costs;
//! - the questions come from addresses that nobody has, none of them exempt from Parapet's filters, of which only the limits are
//!   out of the way; `kxdpgun` asks from all ports of one before it takes the next, which makes some ten a second;
//! - every name is asked for before anything counts;
//! - how long a program runs is measured apart, at the same load: that it is timed costs each run some nanoseconds.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use parapet_lab::{LabError, Lanes, Namespace, Rank, Receiver, Runs, TimedRuns, XdpProgram, zone_text};

use super::{
    Options,
    load::{self, GENERATOR_CORE, Load, Offer, SERVER_CORE},
    progress,
    report::{Report, Samples},
    rig::{Rig, ZONE},
    transfer::wait_until_served,
};
use crate::subject::{CLIENTS, Running, Subject};

/// The interface of the client that leads to the server.
const SERVER: &str = "server";
/// With the kernel lane, questions come from these addresses; no host has them.
const SOURCES: ([u8; 4], u8) = ([10, 64, 0, 0], 16);
/// If more than this share of the answers is lost at the generator's end, it is said.
const REFUSED_LEAST: f64 = 0.000_5;
/// Each name is asked for so often before anything counts, at this rate.
const WARM_ROUNDS: u32 = 2;
const WARM_PER_S: u32 = 20_000;

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    load::need_two_cores()?;
    let mut samples = Samples::new("answers", options.subjects());
    progress("building the network and the zone");
    let rig = Rig::build("bench-answers", options.records())?.lanes(options.lane);
    let bench = Bench::new(&rig, options)?;
    for repeat in 1..=options.repeats() {
        for &subject in options.subjects() {
            progress(&format!("repeat {repeat} of {}: {}", options.repeats(), subject.name()));
            let answerer = bench.start(subject)?;
            bench.warm(&answerer)?;
            for &load in options.loads() {
                bench.measure(&answerer, subject, load, &mut samples)?;
            }
            answerer.stop(&rig)?;
        }
    }
    if options.lane == Lanes::Kernel {
        samples.note(
            "cpu_per_answer: all that the server's core did, receiving included; own_cpu_per_answer: without."
                .to_owned(),
        );
    }
    Ok(samples.finish())
}

/// The network with what is the same for all subjects.
struct Bench<'r> {
    rig: &'r Rig,
    records: u32,
    seconds: u32,
    questions: PathBuf,
    /// With the kernel lane: who receives at the server.
    receiver: Option<Receiver>,
}

/// Who answers.
enum Answerer {
    Server(Running),
    Echo,
}

impl Answerer {
    fn run_time(&self) -> Duration {
        match self {
            Answerer::Server(server) => server.process().run_time(),
            Answerer::Echo => Duration::ZERO,
        }
    }

    fn stop(self, rig: &Rig) -> Result<(), LabError> {
        if let Answerer::Server(server) = self {
            server.stop()?;
        }
        rig.net.host("server").detach_xdp(CLIENTS)
    }
}

/// Processor time until now.
#[derive(Clone, Copy)]
struct Used {
    own: Duration,
    receiving: Duration,
}

impl<'r> Bench<'r> {
    fn new(rig: &'r Rig, options: &Options) -> anyhow::Result<Bench<'r>> {
        let questions = rig.lab.folder().join("questions");
        std::fs::write(&questions, zone_text::flat_questions(ZONE, options.records()))
            .context("writing the questions")?;
        let (server, client) = (rig.net.host("server"), rig.net.host("client"));
        let receiver = match options.lane {
            Lanes::Sockets => None,
            Lanes::Kernel | Lanes::Generic => {
                server.route(SOURCES.0.into(), SOURCES.1, client.v4())?;
                client.receive_on(SERVER, GENERATOR_CORE, Rank::Interrupt)?;
                Some(server.receive_on(CLIENTS, SERVER_CORE, Rank::Measured)?)
            }
        };
        Ok(Bench { rig, records: options.records(), seconds: options.seconds(), questions, receiver })
    }

    fn server(&self) -> &Namespace {
        self.rig.net.host("server")
    }

    fn start(&self, subject: Subject) -> anyhow::Result<Answerer> {
        if subject == Subject::Echo {
            self.server().start_echo(CLIENTS)?;
            return Ok(Answerer::Echo);
        }
        let server = self.rig.start(subject, Some(SERVER_CORE), false)?;
        wait_until_served(self.rig, &server)?;
        Ok(Answerer::Server(server))
    }

    fn offer(&self, rate_per_s: u32, seconds: u32) -> Result<Load, LabError> {
        let sources = self.receiver.is_some().then(|| {
            let ([a, b, c, d], bits) = SOURCES;
            format!("{a}.{b}.{c}.{d}/{bits}")
        });
        let offer = Offer { questions: &self.questions, server: self.server().v4(), rate_per_s, seconds, sources };
        load::offer(&self.rig.net, &offer)
    }

    /// What is asked for is at hand from now on.
    fn warm(&self, answerer: &Answerer) -> Result<(), LabError> {
        match (answerer, &self.receiver) {
            (Answerer::Server(_), Some(_)) => {
                self.offer(WARM_PER_S, (WARM_ROUNDS * self.records).div_ceil(WARM_PER_S)).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn used(&self, answerer: &Answerer) -> Result<Used, LabError> {
        let receiving = self.receiver.as_ref().map_or(Ok(Duration::ZERO), Receiver::run_time)?;
        Ok(Used { own: answerer.run_time(), receiving })
    }

    fn measure(
        &self,
        answerer: &Answerer,
        subject: Subject,
        offered: u32,
        samples: &mut Samples,
    ) -> Result<(), LabError> {
        let (refused, before) = (self.refused()?, self.used(answerer)?);
        let load = self.offer(offered, self.seconds)?;
        let after = self.used(answerer)?;
        let refused = self.refused()?.saturating_sub(refused) as f64 / load.sent.max(1.0);
        let (own, receiving) = (after.own.saturating_sub(before.own), after.receiving.saturating_sub(before.receiving));
        let case = format!("{offered}/s offered");
        let us = |time: Duration| time.as_secs_f64() * 1e6 / load.answered.max(1.0);
        let mut add = |metric, value, unit| samples.add(subject.name(), &case, metric, value, unit);
        add("cpu_per_answer", us(own + receiving), "µs");
        if self.receiver.is_some() {
            let runs = self.server().xdp_program(CLIENTS)?.map(|program| self.runs(program, offered)).transpose()?;
            // Each query that was received is a run, answered or not.
            let ns_per_answer = runs.map_or(0.0, |runs| runs.ns_per_answer);
            add("own_cpu_per_answer", us(own) + ns_per_answer / 1e3, "µs");
            if let Some(runs) = runs {
                add("program_run", runs.ns_per_run, "ns");
            }
        }
        add("answered_share", 100.0 * load.answered / load.sent.max(1.0), "%");
        add("answered", load.answered / load.seconds, "1/s");
        add("sent", load.sent / load.seconds, "1/s");
        if refused > REFUSED_LEAST {
            let share = 100.0 * refused;
            samples.note(format!(
                "{}, {case}: {share:.2} % was answered, and the generator's end had no room for it",
                subject.name()
            ));
        }
        Ok(())
    }

    /// Answers that were lost on the wire: the generator did not take them fast enough.
    fn refused(&self) -> Result<u64, LabError> {
        let (received, _) = self.rig.net.host("client").interface_dropped(SERVER)?;
        let (_, to_be_sent) = self.server().interface_dropped(CLIENTS)?;
        Ok(received + to_be_sent)
    }

    /// The same load once more, with the runs of the program timed.
    fn runs(&self, program: XdpProgram, offered: u32) -> Result<Timed, LabError> {
        let timed = TimedRuns::begin()?;
        let before = program.runs(self.server())?;
        let load = self.offer(offered, self.seconds)?;
        let runs: Runs = program.runs(self.server())?.since(&before);
        drop(timed);
        Ok(Timed {
            ns_per_run: runs.nanoseconds().unwrap_or(f64::NAN),
            ns_per_answer: runs.time.as_nanos() as f64 / load.answered.max(1.0),
        })
    }
}

/// How long a program ran.
#[derive(Clone, Copy)]
struct Timed {
    ns_per_run: f64,
    ns_per_answer: f64,
}
