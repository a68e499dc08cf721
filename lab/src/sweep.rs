//! Sweeping up after labs that were killed: their folders, and processes that escaped the parent-death signal (the
//! grandchildren of a killed lab, such as NSD's workers).
//!
//! A run's folder is called `PID-START-N`: the process that owns it, that process's start time in clock ticks since
//! boot (so that a pid used again is not taken for the owner), and a counter.

use std::{fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The environment variable that marks a lab's processes; its value is the name of the run's folder.
pub(crate) const MARK: &str = "PARAPET_LAB_RUN";

/// Start time of a living process in clock ticks since boot: field 22 of `/proc/PID/stat`, proc(5). One that has ended
/// and was not waited for, a zombie, does not live.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, field 2, is in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Remove what dead owners left under `base`.
pub(crate) fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    let dead: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| owner_is_dead(name))
        .collect();
    if dead.is_empty() {
        return;
    }
    kill_marked(&dead);
    for name in dead {
        let _ = fs::remove_dir_all(base.join(name));
    }
}

fn owner_is_dead(folder: &str) -> bool {
    let mut parts = folder.split('-');
    let (Some(pid), Some(start)) = (
        parts.next().and_then(|part| part.parse::<u32>().ok()),
        parts.next().and_then(|part| part.parse::<u64>().ok()),
    ) else {
        return false;
    };
    start_time(pid) != Some(start)
}

fn kill_marked(runs: &[String]) {
    let marks: Vec<String> = runs.iter().map(|run| format!("{MARK}={run}")).collect();
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        let marked =
            environment.split(|byte| *byte == 0).any(|variable| marks.iter().any(|mark| mark.as_bytes() == variable));
        if marked {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_owner_is_left_alone_and_a_dead_one_is_not() {
        let me = std::process::id();
        let start = start_time(me).unwrap();
        assert!(!owner_is_dead(&format!("{me}-{start}-1")));
        assert!(owner_is_dead(&format!("{me}-{}-1", start + 1)));
        assert!(!owner_is_dead("somebody-elses"));
    }
}
