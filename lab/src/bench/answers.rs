//! `bench answers`: one core for the server, the load generator on another, a wire between them.

use std::path::PathBuf;

use anyhow::Context;
use parapet_lab::{LabError, zone_text};

use super::{
    Options,
    load::{self, SERVER_CORE},
    progress,
    report::{Report, Samples},
    rig::{Rig, ZONE},
    transfer::wait_until_served,
};
use crate::subject::{Running, Subject};

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    load::need_two_cores()?;
    let mut samples = Samples::new("answers", options.subjects());
    progress("building the network and the zone");
    let rig = Rig::build("bench-answers", options.records())?;
    std::fs::write(questions(&rig), zone_text::flat_questions(ZONE, options.records()))
        .context("writing the questions")?;
    for repeat in 1..=options.repeats() {
        for &subject in options.subjects() {
            progress(&format!("repeat {repeat} of {}: {}", options.repeats(), subject.name()));
            let server = rig.start(subject, Some(SERVER_CORE), false)?;
            wait_until_served(&rig, &server)?;
            for &load in options.loads() {
                measure(&rig, &server, subject, load, options.seconds(), &mut samples)?;
            }
            server.stop()?;
        }
    }
    Ok(samples.finish())
}

fn questions(rig: &Rig) -> PathBuf {
    rig.lab.folder().join("questions")
}

fn measure(
    rig: &Rig,
    server: &Running,
    subject: Subject,
    offered: u32,
    seconds: u32,
    samples: &mut Samples,
) -> Result<(), LabError> {
    let before = server.process().cpu_time();
    let load = load::offer(&rig.net, &questions(rig), server.v4(), offered, seconds)?;
    let cpu = server.process().cpu_time().saturating_sub(before);
    let case = format!("{offered}/s offered");
    let name = subject.name();
    samples.add(name, &case, "cpu_per_answer", cpu.as_secs_f64() * 1e6 / load.answered.max(1.0), "µs");
    samples.add(name, &case, "answered_share", 100.0 * load.answered / load.sent.max(1.0), "%");
    samples.add(name, &case, "answered", load.answered / load.seconds, "1/s");
    samples.add(name, &case, "sent", load.sent / load.seconds, "1/s");
    Ok(())
}
