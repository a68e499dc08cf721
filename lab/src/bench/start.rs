//! `bench start`: a server that has a large zone on disk is started while its origin is gone; from exec to the first
//! answer with authority.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use parapet_lab::{LabError, dns, until};

use super::{
    Options, progress,
    report::{Report, Samples},
    rig::{Rig, ZONE},
    transfer::wait_until_served,
};
use crate::subject::Running;

/// The zone is to be on disk, and the folder unchanged, this long after the transfer.
const WRITTEN_DEADLINE: Duration = Duration::from_secs(60);
/// A folder is taken as written when its size has not changed for this long.
const WRITTEN_QUIET: Duration = Duration::from_secs(3);
/// The first answer is to come within this time.
const FIRST_ANSWER_DEADLINE: Duration = Duration::from_secs(60);
/// How long one question waits before the next is asked.
const LOOK: Duration = Duration::from_millis(20);
/// Less than this on disk cannot be the zone: bytes a record.
const DISK_BYTES_PER_RECORD_MIN: u64 = 4;

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let case = format!("{} records", options.records());
    let mut samples = Samples::new("start", options.subjects());
    progress("building the network and the zone");
    let mut rig = Rig::build("bench-start", options.records())?;
    for &subject in options.subjects() {
        progress(&format!("{}: transfer", subject.name()));
        let mut server = rig.start(subject, None, true)?;
        wait_until_served(&rig, &server)?;
        wait_until_written(server.folder(), options.records())?;
        samples.add(subject.name(), &case, "on_disk", size(server.folder()) as f64 / 1e6, "MB");
        rig.origin.stop()?;
        for repeat in 1..=options.repeats() {
            progress(&format!("{}: start {repeat} of {}", subject.name(), options.repeats()));
            server.stop()?;
            samples.add(subject.name(), &case, "exec_to_answer", start(&rig, &mut server)?.as_secs_f64(), "s");
        }
        progress(&format!("{}: start after SIGKILL", subject.name()));
        server.kill()?;
        samples.add(subject.name(), &case, "exec_to_answer_killed", start(&rig, &mut server)?.as_secs_f64(), "s");
        server.stop()?;
        rig.origin.start_again()?;
        rig.origin.wait_for_zone(ZONE, 1, FIRST_ANSWER_DEADLINE)?;
    }
    Ok(samples.finish())
}

fn start(rig: &Rig, server: &mut Running) -> Result<Duration, LabError> {
    let mut client = dns::Client::new(rig.net.host("client"), (server.v4(), dns::PORT).into())?;
    let begun = Instant::now();
    server.start_again()?;
    let name = format!("n000001.{ZONE}");
    loop {
        let answered = client.ask_once(&name, dns::Rtype::A, LOOK).filter(|reply| reply.aa && reply.answers.len() == 1);
        if answered.is_some() {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > FIRST_ANSWER_DEADLINE || !server.process().is_running() {
            return Err(LabError::NotReady {
                what: format!("the first answer of {}", server.subject()),
                waited: begun.elapsed(),
                details: format!("; it said:\n{}", server.process().output()),
            });
        }
    }
}

/// Wait until the zone can be on disk and nothing is written any more.
fn wait_until_written(folder: &Path, records: u32) -> Result<(), LabError> {
    let least = u64::from(records) * DISK_BYTES_PER_RECORD_MIN;
    let mut last = (0, Instant::now());
    until(format!("the zone on disk in {}", folder.display()), WRITTEN_DEADLINE, || {
        let now = size(folder);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now >= least && last.1.elapsed() >= WRITTEN_QUIET).then_some(())
    })
}

/// Bytes in use under a folder.
fn size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    /// Blocks of stat(2), whatever the file system's own are.
    const BLOCK_BYTES: u64 = 512;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| {
            let metadata = fs::symlink_metadata(entry.path()).ok()?;
            Some(if metadata.is_dir() { size(&entry.path()) } else { metadata.blocks() * BLOCK_BYTES })
        })
        .sum()
}
