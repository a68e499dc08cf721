//! What happened: defences that were armed and that rest again, each with queries of that moment. The last are kept, over
//! restarts too.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use filters::{Sample, Verdict};

use super::report::{EventSample, KeptEvent};
use crate::state_file;

/// The file's name in the state folder: an event in a line.
const NAME: &str = "defence-events.jsonl";
/// Events that are kept.
pub(super) const EVENTS_MAX: usize = 100;
/// Queries that are kept with one of them.
pub(super) const SAMPLES_MAX: usize = 10;
/// Queries that are at hand for the next event.
const RECENT_MAX: usize = 2000;
/// Once the file has more bytes, it is written anew with what is kept.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Addresses of clients are nobody's business.
const MODE: u32 = 0o600;

/// The queries of a moment ago, the newest last.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Sample>);

impl Recent {
    pub(super) fn add(&mut self, sample: Sample) {
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// The newest that fit, from as many sources as can be; those that a filter has found something in first.
    pub(super) fn pick(&self, fits: impl Fn(&Sample) -> bool) -> Vec<EventSample> {
        let newest = || self.0.iter().rev().filter(|sample| fits(sample));
        let found = newest().filter(|sample| sample.filter.is_some());
        let rest = newest().filter(|sample| sample.filter.is_none());
        let mut picked: Vec<&Sample> = Vec::with_capacity(SAMPLES_MAX);
        for sample in found.clone().chain(rest.clone()) {
            if picked.len() == SAMPLES_MAX {
                break;
            }
            if picked.iter().all(|other| other.source != sample.source) {
                picked.push(sample);
            }
        }
        for sample in found.chain(rest) {
            if picked.len() == SAMPLES_MAX {
                break;
            }
            if !picked.iter().any(|other| std::ptr::eq(*other, sample)) {
                picked.push(sample);
            }
        }
        picked.into_iter().map(describe).collect()
    }
}

fn describe(sample: &Sample) -> EventSample {
    EventSample {
        source: sample.source.to_string(),
        qname: sample.qname.map(|qname| qname.to_string()),
        qtype: sample.qtype.map(|qtype| qtype.to_string()),
        outcome: match sample.verdict {
            Verdict::Serve => "served",
            Verdict::Slip(_) => "slipped",
            Verdict::Drop(_) => "dropped",
        }
        .to_owned(),
        filter: sample.filter.map(|filter| filter.as_str().to_owned()),
        penalty: sample.penalty,
    }
}

/// The last events, here and in a file.
#[derive(Debug)]
pub(super) struct Events {
    path: PathBuf,
    kept: VecDeque<KeptEvent>,
}

impl Events {
    /// Those that were kept before the start. A line that cannot be read, the last of a node that was killed perhaps, is
    /// left out; says how many were.
    pub(super) fn read(state_dir: &Path) -> (Self, Option<String>) {
        let path = state_dir.join(NAME);
        let mut events = Self { path, kept: VecDeque::new() };
        let bytes = match state_file::read(&events.path) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(why) => {
                let told = format!("the events kept in {} cannot be read: {why}", events.path.display());
                return (events, Some(told));
            }
        };
        let mut unreadable = 0;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(event) => events.push(event),
                Err(_) => unreadable += 1,
            }
        }
        if unreadable == 0 {
            return (events, None);
        }
        let told = format!("{unreadable} lines of {} are torn or not ours; they are left out", events.path.display());
        let rewritten = events.write_anew();
        (
            events,
            Some(rewritten.map_or_else(|why| format!("{told}; it cannot be written anew: {why}"), |()| told.clone())),
        )
    }

    /// The oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &KeptEvent> {
        self.kept.iter()
    }

    /// Keeps one more, here and in the file.
    ///
    /// # Errors
    /// Why it is not in the file.
    pub(super) fn keep(&mut self, event: KeptEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        self.push(event);
        let mut file = File::options().append(true).create(true).mode(MODE).open(&self.path)?;
        file.write_all(&line)?;
        if file.metadata()?.len() > FILE_BYTES_MAX {
            return self.write_anew();
        }
        Ok(())
    }

    fn push(&mut self, event: KeptEvent) {
        if self.kept.len() >= EVENTS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }

    fn write_anew(&self) -> io::Result<()> {
        let mut text = Vec::new();
        for event in &self.kept {
            serde_json::to_writer(&mut text, event)?;
            text.push(b'\n');
        }
        state_file::write(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use config::Filter;
    use filters::Now;

    use super::*;

    fn event(number: usize) -> KeptEvent {
        KeptEvent {
            unix_s: number as f64,
            defence: "miss".to_owned(),
            phase: "armed".to_owned(),
            scope: "node".to_owned(),
            per_s: 30_000.5,
            normal_per_s: 1000.0,
            armed_s: None,
            samples: vec![describe(&sample(1, Some(Filter::Client)))],
        }
    }

    fn sample(source: u8, filter: Option<Filter>) -> Sample {
        Sample {
            at: Now::default(),
            source: IpAddr::from([192, 0, 2, source]),
            zone: None,
            qname: None,
            qtype: None,
            verdict: filter.map_or(Verdict::Serve, Verdict::Drop),
            filter,
            penalty: 0,
            weight: 1,
        }
    }

    #[test]
    fn the_last_are_kept_over_restarts_in_a_file_with_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let (mut events, told) = Events::read(folder.path());
        assert_eq!((events.all().count(), told), (0, None));
        for number in 0..10_000 {
            events.keep(event(number)).unwrap();
        }
        assert!(std::fs::metadata(folder.path().join(NAME)).unwrap().len() <= FILE_BYTES_MAX + 1000);
        let (again, told) = Events::read(folder.path());
        assert_eq!(told, None);
        assert_eq!(again.kept, events.kept);
        assert_eq!((again.kept.len(), again.kept.back().unwrap().unix_s), (EVENTS_MAX, 9999.0));
    }

    #[test]
    fn a_torn_line_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut events, _) = Events::read(folder.path());
        (0..3).for_each(|number| events.keep(event(number)).unwrap());
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
        let (mut again, told) = Events::read(folder.path());
        assert!(told.unwrap().starts_with("1 lines of "));
        assert_eq!(again.kept.len(), 2);
        // What comes next is not glued to it.
        again.keep(event(7)).unwrap();
        let (last, told) = Events::read(folder.path());
        assert_eq!((last.kept.len(), told), (3, None));
    }

    #[test]
    fn samples_are_those_with_a_reason_and_of_many_sources() {
        let mut recent = Recent::default();
        (0..50).for_each(|_| recent.add(sample(1, Some(Filter::Client))));
        recent.add(sample(2, None));
        recent.add(sample(3, Some(Filter::Prefix)));
        let picked = recent.pick(|_| true);
        let sources: Vec<_> = picked.iter().map(|sample| sample.source.as_str()).collect();
        assert_eq!(sources[..4], ["192.0.2.3", "192.0.2.1", "192.0.2.2", "192.0.2.1"]);
        assert_eq!(picked.len(), SAMPLES_MAX);
        assert_eq!((picked[0].outcome.as_str(), picked[0].filter.as_deref()), ("dropped", Some("prefix")));
        assert_eq!(recent.pick(|sample| sample.filter == Some(Filter::Prefix)).len(), 1);
        (0..3000).for_each(|_| recent.add(sample(4, None)));
        assert_eq!(recent.0.len(), RECENT_MAX);
    }
}
