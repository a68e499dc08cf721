//! `bench answers`: one core for the server, the load generator on another, a wire between them.
//!
//! `--lane kernel` is the same with what is answered before the network stack: Parapet's kernel lane, Knot with XDP, and an
//! echo as the limit of both, beside those that answer by sockets. There every name is asked for before anything counts, and
//! how long a program runs is measured apart, at the same load: that it is timed costs each run some nanoseconds.

use std::path::PathBuf;

use anyhow::Context;
use parapet_lab::{LabError, Namespace, Process, Runs, TimedRuns, XdpProgram, zone_text};

use super::{
    Options,
    load::{self, Load, SERVER_CORE, Wire},
    progress,
    report::{Report, Samples},
    rig::{Rig, ZONE},
    transfer::wait_until_served,
};
use crate::subject::{CLIENTS, Running, Subject};

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
    if bench.wire.reaches_below() {
        samples.note(format!("cpu_per_answer: {}; own_cpu_per_answer: without.", load::ALL_OF_THE_CORE));
    }
    Ok(samples.finish())
}

/// The network with what is the same for all subjects.
struct Bench<'r> {
    rig: &'r Rig,
    records: u32,
    seconds: u32,
    questions: PathBuf,
    wire: Wire<'r>,
}

/// Who answers.
enum Answerer {
    Server(Running),
    Echo,
}

impl Answerer {
    fn process(&self) -> Option<&Process> {
        match self {
            Answerer::Server(server) => Some(server.process()),
            Answerer::Echo => None,
        }
    }

    fn stop(self, rig: &Rig) -> Result<(), LabError> {
        if let Answerer::Server(server) = self {
            server.stop()?;
        }
        rig.net.host("server").detach_xdp(CLIENTS)
    }
}

impl<'r> Bench<'r> {
    fn new(rig: &'r Rig, options: &Options) -> anyhow::Result<Bench<'r>> {
        let questions = rig.lab.folder().join("questions");
        std::fs::write(&questions, zone_text::flat_questions(ZONE, options.records()))
            .context("writing the questions")?;
        let wire = Wire::new(&rig.net, options.lane)?;
        Ok(Bench { rig, records: options.records(), seconds: options.seconds(), questions, wire })
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
        self.wire.offer(&self.questions, rate_per_s, seconds)
    }

    /// What is asked for is at hand from now on.
    fn warm(&self, answerer: &Answerer) -> Result<(), LabError> {
        match answerer {
            Answerer::Server(_) if self.wire.reaches_below() => {
                self.offer(WARM_PER_S, (WARM_ROUNDS * self.records).div_ceil(WARM_PER_S)).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn measure(
        &self,
        answerer: &Answerer,
        subject: Subject,
        offered: u32,
        samples: &mut Samples,
    ) -> Result<(), LabError> {
        let (refused, before) = (self.wire.refused()?, self.wire.used(answerer.process())?);
        let load = self.offer(offered, self.seconds)?;
        let used = self.wire.used(answerer.process())?.since(before);
        let refused = self.wire.refused()?.saturating_sub(refused) as f64 / load.sent.max(1.0);
        let case = format!("{offered}/s offered");
        let mut add = |metric, value, unit| samples.add(subject.name(), &case, metric, value, unit);
        add("cpu_per_answer", used.us_per_answer(load.answered), "µs");
        if self.wire.reaches_below() {
            let runs = self.server().xdp_program(CLIENTS)?.map(|program| self.runs(program, offered)).transpose()?;
            // Each query that was received is a run, answered or not.
            let ns_per_answer = runs.map_or(0.0, |runs| runs.ns_per_answer);
            add("own_cpu_per_answer", used.own_us_per_answer(load.answered) + ns_per_answer / 1e3, "µs");
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
