//! `bench transfer`: a large zone by AXFR with TSIG from one `named`, to an empty secondary.

use std::{
    thread,
    time::{Duration, Instant},
};

use parapet_lab::{LabError, Process, dns};

use super::{
    Options, progress,
    report::{Report, Samples},
    rig::{Rig, ZONE},
};
use crate::subject::Running;

/// A transfer may take this long.
pub(crate) const TRANSFER_DEADLINE: Duration = Duration::from_secs(120);
/// How long one question waits for its answer.
const LOOK: Duration = Duration::from_millis(200);
/// Memory counts once it has stayed the same for [`STEADY_LOOKS`] looks, one every [`LOOK_EVERY`].
const LOOK_EVERY: Duration = Duration::from_millis(250);
const STEADY_LOOKS: u32 = 6;
/// It counts as the same within this share.
const STEADY_SHARE: f64 = 0.01;
/// And is taken as it is after this time.
const STEADY_DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let records = f64::from(options.records());
    let case = format!("{} records", options.records());
    let mut samples = Samples::new("transfer", options.subjects());
    progress("building the network and the zone");
    let rig = Rig::build("bench-transfer", options.records())?;
    for repeat in 1..=options.repeats() {
        for &subject in options.subjects() {
            progress(&format!("repeat {repeat} of {}: {}", options.repeats(), subject.name()));
            let log_before = rig.origin.process().output().len();
            let server = rig.start(subject, None, false)?;
            let begun = wait_for_transfer(&rig, &server, log_before)?;
            wait_until_served(&rig, &server)?;
            let took = begun.elapsed();
            let cpu = server.process().cpu_time();
            let resident = steady_memory(server.process()) as f64;
            server.stop()?;
            let name = subject.name();
            samples.add(name, &case, "time_to_serving", took.as_secs_f64(), "s");
            samples.add(name, &case, "cpu", cpu.as_secs_f64(), "s");
            samples.add(name, &case, "resident", resident / 1e6, "MB");
            samples.add(name, &case, "resident_per_record", resident / records, "B");
        }
    }
    Ok(samples.finish())
}

/// The moment at which the origin began to send: its log says so.
fn wait_for_transfer(rig: &Rig, server: &Running, log_before: usize) -> Result<Instant, LabError> {
    let log = rig.origin.process();
    server.process().wait_until("its transfer begins", TRANSFER_DEADLINE, || {
        let output = log.output();
        output.get(log_before..)?.contains("AXFR started").then(Instant::now)
    })
}

/// Wait until the subject answers for the zone as it is at the origin.
pub(crate) fn wait_until_served(rig: &Rig, server: &Running) -> Result<(), LabError> {
    let serial = rig.serial()?;
    let mut client = dns::Client::new(rig.net.host("client"), (server.v4(), dns::PORT).into())?;
    server.process().wait_until(&format!("it serves {ZONE} with serial {serial}"), TRANSFER_DEADLINE, || {
        client.ask_once(ZONE, dns::Rtype::SOA, LOOK).filter(|reply| reply.aa && reply.serial() == Some(serial))
    })?;
    Ok(())
}

/// Resident memory once the work after the transfer (writing files, ending old processes) is done.
pub(crate) fn steady_memory(process: &Process) -> u64 {
    let start = Instant::now();
    let mut last = process.resident_bytes();
    let mut steady = 0;
    while steady < STEADY_LOOKS && start.elapsed() < STEADY_DEADLINE {
        thread::sleep(LOOK_EVERY);
        let now = process.resident_bytes();
        let changed = now.abs_diff(last) as f64 > STEADY_SHARE * last as f64;
        steady = if changed { 0 } else { steady + 1 };
        last = now;
    }
    last
}
