//! `bench answers`: one core for the server, the load generator on another, a wire between them.

use std::time::Duration;

use anyhow::{Context, bail};
use parapet_lab::{LabError, zone_text};

use super::{
    Options, progress,
    report::{Report, Samples},
    rig::{Rig, ZONE},
    transfer::wait_until_served,
};
use crate::subject::{Running, Subject};

/// The generator, `kxdpgun` with its one thread, sits on core 0; so does whatever else runs.
const GENERATOR_CORE: usize = 0;
/// The server has this core for itself.
const SERVER_CORE: usize = 1;
/// What `kxdpgun` needs besides the seconds of load.
const GENERATOR_EXTRA: Duration = Duration::from_secs(20);

/// What one run of the generator saw.
struct Load {
    sent: f64,
    answered: f64,
    seconds: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    if std::thread::available_parallelism().map_or(1, |cores| cores.get()) < 2 {
        bail!("bench answers needs two cores: one for the server, one for the generator");
    }
    let mut samples = Samples::new("answers", &options.subjects);
    progress("building the network and the zone");
    let rig = Rig::build("bench-answers", options.records())?;
    let questions = rig.lab.folder().join("questions");
    std::fs::write(&questions, zone_text::flat_questions(ZONE, options.records())).context("writing the questions")?;
    for repeat in 1..=options.repeats() {
        for &subject in &options.subjects {
            progress(&format!("repeat {repeat} of {}: {}", options.repeats(), subject.name()));
            let server = rig.start(subject, Some(SERVER_CORE), false)?;
            wait_until_served(&rig, &server)?;
            for &load in &options.loads {
                measure(&rig, &server, subject, load, options.seconds, &mut samples)?;
            }
            server.stop()?;
        }
    }
    Ok(samples.finish())
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
    let load = offer(rig, server, offered, seconds)?;
    let cpu = server.process().cpu_time().saturating_sub(before);
    let case = format!("{offered}/s offered");
    let name = subject.name();
    samples.add(name, &case, "cpu_per_answer", cpu.as_secs_f64() * 1e6 / load.answered.max(1.0), "µs");
    samples.add(name, &case, "answered_share", 100.0 * load.answered / load.sent.max(1.0), "%");
    samples.add(name, &case, "answered", load.answered / load.seconds, "1/s");
    samples.add(name, &case, "sent", load.sent / load.seconds, "1/s");
    Ok(())
}

fn offer(rig: &Rig, server: &Running, offered: u32, seconds: u32) -> Result<Load, LabError> {
    let output = rig
        .net
        .host("client")
        .program("kxdpgun")
        .args(["-t", &seconds.to_string(), "-Q", &offered.to_string(), "-F", &format!("{GENERATOR_CORE}s1"), "-i"])
        .arg(rig.lab.folder().join("questions").to_string_lossy())
        .arg(server.v4().to_string())
        .core(Some(GENERATOR_CORE))
        .deadline(Duration::from_secs(u64::from(seconds)) + GENERATOR_EXTRA)
        .run()?
        .success()?;
    read(&output.stdout).ok_or_else(|| LabError::Failed {
        command: output.command.clone(),
        status: "a report that cannot be read".to_owned(),
        output: format!("{}{}", output.stdout, output.stderr),
    })
}

/// Read the end of `kxdpgun`'s report: lines as in `total replies:     90343 (45171 pps) (90%)`.
fn read(report: &str) -> Option<Load> {
    let number = |key: &str| {
        let line = report.lines().find(|line| line.starts_with(key))?;
        line.split_once(':')?.1.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(Load { sent: number("total queries")?, answered: number("total replies")?, seconds: number("duration")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_report_is_read() {
        let report = "using interface c, XDP threads 1, UDP, native mode\nthread#00: sent 99900, received 90343\n\
            total queries:     99900 (49950 pps)\ntotal replies:     90343 (45171 pps) (90%)\n\
            average DNS reply size: 53 B\nresponded NOERROR:   90343\nduration: 2 s\n";
        let load = read(report).unwrap();
        assert_eq!((load.sent, load.answered, load.seconds), (99_900.0, 90_343.0, 2.0));
        assert!(read("no interface").is_none());
    }
}
