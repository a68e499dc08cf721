//! Whether a thread does something, waits, or is only not let run: from what the system says of it.

use std::fs;

/// Less than this, in clock ticks of 10 ms, and a thread that wants to run is not let.
const RAN_TICKS_MIN: u64 = 3;

/// The processor time of a thread at some moment, in clock ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadTime(Option<u64>);

/// What a thread has done since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It ran, or waits for something that is not the processor or the disk.
    Runs,
    /// It got no processor time, or waits for the disk: whatever it is at, that is not its fault.
    Starved,
}

impl ThreadTime {
    pub(super) fn read(thread: i32) -> ThreadTime {
        ThreadTime(read(thread).map(|(_, ticks)| ticks))
    }

    /// What the thread has done since. Where the system does not say, it ran.
    pub(super) fn progress(self, thread: i32) -> Progress {
        let (Some((state, ticks)), Some(before)) = (read(thread), self.0) else { return Progress::Runs };
        match state {
            'R' if ticks.saturating_sub(before) < RAN_TICKS_MIN => Progress::Starved,
            // Waits for the disk, is stopped, or is traced.
            'D' | 'T' | 't' => Progress::Starved,
            _ => Progress::Runs,
        }
    }
}

/// State and processor time of a thread of this process (proc_pid_stat(5), fields 3, 14 and 15).
fn read(thread: i32) -> Option<(char, u64)> {
    parse(&fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<(char, u64)> {
    // The name before may have any characters.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((state, user + system))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread,
        time::{Duration, Instant},
    };

    use nix::unistd::gettid;

    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "7584 (a) R 1) R 7578 7578 13481 0 -1 4194304 100 0 0 0 17 25 0 0 20 0 1 0 3589891";
        assert_eq!(parse(stat), Some(('R', 42)));
        assert_eq!(parse("7584 (a"), None);
    }

    #[test]
    fn one_that_waits_for_another_and_one_that_runs_are_not_starved() {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let waits = thread::spawn(move || {
            tell.send(gettid().as_raw()).unwrap();
            ended.recv().unwrap_err();
        });
        let id = told.recv().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while read(id).unwrap().0 != 'S' {
            assert!(Instant::now() < until);
        }
        assert_eq!(ThreadTime::read(id).progress(id), Progress::Runs);
        drop(end);
        waits.join().unwrap();

        let own = gettid().as_raw();
        let before = ThreadTime::read(own);
        while before.progress(own) == Progress::Starved {
            assert!(Instant::now() < until);
        }
    }
}
