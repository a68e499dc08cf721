//! Queries that kill who answers them: written down so that they can be looked into, logged as errors, and kept away again
//! after a start. When the edge gives up, the process ends for whoever supervises it.
//!
//! `state_dir/queries-of-death/` has two files for each: `.bin` with the message as it came, `.txt` for people. Nothing
//! there is ever overwritten or removed: the first ones of a kind are those that tell most.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edge::{Death, DeathHandler, filter_time};
use filters::Filters;
use tokio::sync::watch;

/// Their folder in the state folder.
pub(super) const FOLDER: &str = "queries-of-death";
/// Messages that are written there in all.
const WRITTEN_MAX: usize = 100;
/// Of one kind: of what is kept away for it.
const WRITTEN_OF_KIND_MAX: usize = 5;
/// Deaths that may wait to be written.
const WAITING_MAX: usize = 64;
/// Longest message that is read from there.
const MESSAGE_BYTES_MAX: u64 = 65_535;
/// Panics that are logged in a second.
const PANICS_LOGGED_PER_S_MAX: u64 = 20;
/// Bytes in a line of the dump.
const DUMP_BYTES: usize = 16;

/// Takes the deaths from the edge.
#[derive(Debug)]
pub(crate) struct Deaths {
    waiting: SyncSender<Death>,
    given_up: watch::Sender<Option<String>>,
}

impl Deaths {
    /// Begins to take them, and keeps away what killed a moment before the start.
    pub(crate) fn start(state_dir: &Path, filters: &Filters) -> io::Result<Deaths> {
        let folder = state_dir.join(FOLDER);
        let quarantine_s = u64::from(filters.policy().defences.quarantine_s);
        keep_away_again(&folder, filters, Duration::from_secs(quarantine_s));
        std::panic::set_hook(Box::new(log_panic));
        let (waiting, deaths) = sync_channel(WAITING_MAX);
        let register = Register::open(folder);
        // It ends when nobody can tell it anything any more.
        std::thread::Builder::new().name("deaths".to_owned()).spawn(move || register.follow(&deaths))?;
        Ok(Deaths { waiting, given_up: watch::Sender::new(None) })
    }

    /// Tells why, once the edge has given up.
    pub(crate) fn given_up(&self) -> watch::Receiver<Option<String>> {
        self.given_up.subscribe()
    }
}

impl DeathHandler for Deaths {
    fn died(&self, death: Death) {
        // Those for which there is no room are counted by the edge.
        let _ = self.waiting.try_send(death);
    }

    fn given_up(&self, why: &str) {
        tracing::error!(why, "the edge gives up; the process ends with an error, to be started anew");
        self.given_up.send_replace(Some(why.to_owned()));
    }
}

/// What has been written, and how many of each kind.
#[derive(Debug)]
struct Register {
    folder: PathBuf,
    written: usize,
    of_kind: HashMap<String, usize>,
}

impl Register {
    fn open(folder: PathBuf) -> Register {
        let written = messages_in(&folder).count();
        Register { folder, written, of_kind: HashMap::new() }
    }

    fn follow(mut self, deaths: &Receiver<Death>) {
        while let Ok(death) = deaths.recv() {
            let file = match self.take(&death) {
                Ok(Some(file)) => file.display().to_string(),
                Ok(None) => "not written: there are enough like it".to_owned(),
                Err(error) => format!("not written: {error}"),
            };
            tracing::error!(
                kind = death.kind.as_str(),
                lane = death.lane,
                source = death.source.map(|source| source.to_string()),
                why = death.why,
                dropped = death.quarantining.kept_away.join("; "),
                file,
                "a query kills who answers it"
            );
            for (like, why) in &death.quarantining.refused {
                tracing::warn!(like, why, "not dropped as well, though queries like it kill");
            }
        }
    }

    /// Writes a message down, unless there are enough like it.
    fn take(&mut self, death: &Death) -> io::Result<Option<PathBuf>> {
        let question = death.quarantining.kept_away.last().map_or("", String::as_str);
        let kind = format!("{} {question}", death.kind.as_str());
        let of_kind = self.of_kind.get(&kind).copied().unwrap_or_default();
        if death.message.is_empty() || self.written >= WRITTEN_MAX || of_kind >= WRITTEN_OF_KIND_MAX {
            return Ok(None);
        }
        fs::create_dir_all(&self.folder)?;
        let name = file_name(death, self.written);
        let file = self.folder.join(format!("{name}.bin"));
        write_new(&self.folder.join(format!("{name}.txt")), describe(death).as_bytes())?;
        write_new(&file, &death.message)?;
        self.written += 1;
        // As many kinds as files, at most.
        *self.of_kind.entry(kind).or_default() += 1;
        Ok(Some(file))
    }
}

/// Whole seconds since 1970.
fn unix_s(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `1790000000-007-hang-answering`: when, how many before it, how, and whether it had been read.
fn file_name(death: &Death, written: usize) -> String {
    let at_s = unix_s(death.at);
    let stage = if death.readable { "answering" } else { "reading" };
    format!("{at_s}-{written:03}-{}-{stage}", death.kind.as_str())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The messages in the folder: when each came, whether it had been read, and its file.
fn messages_in(folder: &Path) -> impl Iterator<Item = (u64, bool, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let path = entry.path();
        let name = path.file_name()?.to_str()?.strip_suffix(".bin")?;
        let at_s = name.split('-').next()?.parse().ok()?;
        let readable = name.ends_with("-answering");
        Some((at_s, readable, path))
    })
}

/// A process that a query killed for good gets it again at once: until its time is over it is dropped as before.
fn keep_away_again(folder: &Path, filters: &Filters, lasts: Duration) {
    let now_s = unix_s(SystemTime::now());
    let recent = messages_in(folder).filter(|(at_s, _, _)| now_s.saturating_sub(*at_s) < lasts.as_secs());
    for (_, readable, path) in recent.take(WRITTEN_MAX) {
        let is_message = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MESSAGE_BYTES_MAX);
        match is_message.then(|| fs::read(&path)) {
            Some(Ok(message)) => {
                let kept = filters.quarantine(&message, readable, &|_| false, filter_time());
                tracing::warn!(dropped = kept.kept_away.join("; "), file = %path.display(), "killed before the start");
            }
            Some(Err(error)) => tracing::warn!(%error, file = %path.display(), "cannot read a query of death"),
            None => tracing::warn!(file = %path.display(), "not a query of death"),
        }
    }
}

/// All that is known of a death, for people.
fn describe(death: &Death) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "{what:<10} {value}");
    };
    let at_s = unix_s(death.at);
    line("at", &format!("{at_s} (seconds since 1970)"));
    line("kind", death.kind.as_str());
    line("why", &death.why);
    line("lane", &death.lane);
    line("source", &death.source.map_or("unknown".to_owned(), |source| source.to_string()));
    line("transport", death.transport.as_str());
    line("killed", if death.readable { "who answered it" } else { "who read it" });
    if death.readable {
        // It was read before it killed.
        line("question", &question(&death.message));
    }
    for kept in &death.quarantining.kept_away {
        line("dropped", kept);
    }
    for (like, why) in &death.quarantining.refused {
        line("not", &format!("{like}: {why}"));
    }
    text.push('\n');
    for (number, bytes) in death.message.chunks(DUMP_BYTES).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let visible = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let characters: String = bytes.iter().map(visible).collect();
        let _ = writeln!(text, "{:04x}  {:<47}  {characters}", number * DUMP_BYTES, hex.join(" "));
    }
    text
}

fn question(message: &[u8]) -> String {
    match wire::Query::parse(message).map(|query| query.question) {
        Ok(Some(question)) => format!("{} {} {}", question.name, question.class, question.rtype),
        Ok(None) => "none".to_owned(),
        Err(_) => "malformed".to_owned(),
    }
}

/// Logs a panic with its place: only so many, since a query can cause them without end.
fn log_panic(info: &PanicHookInfo<'_>) {
    static SECOND: AtomicU64 = AtomicU64::new(0);
    static LOGGED: AtomicU64 = AtomicU64::new(0);
    let second = filter_time().s();
    if SECOND.swap(second, Relaxed) != second {
        LOGGED.store(0, Relaxed);
    }
    if LOGGED.fetch_add(1, Relaxed) < PANICS_LOGGED_PER_S_MAX {
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or("?"), "{info}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use edge::{DeathKind, Transport};
    use filters::Quarantining;

    use super::*;

    /// `www.example.com A`, with an id.
    const QUERY: &[u8] =
        b"\x07\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";

    fn death(question: &str) -> Death {
        Death {
            kind: DeathKind::Hang,
            message: QUERY.to_vec(),
            readable: true,
            source: Some("192.0.2.1:4711".parse().unwrap()),
            transport: Transport::Udp,
            lane: "udp-0".to_owned(),
            at: SystemTime::now(),
            why: "it had not ended after 512 ms".to_owned(),
            quarantining: Quarantining {
                kept_away: vec!["the same message of 33 bytes".to_owned(), question.to_owned()],
                refused: vec![("all below example.com. A".to_owned(), "that would be whole zones")],
            },
        }
    }

    fn filters() -> Arc<Filters> {
        Arc::new(Filters::new(&config::Defences::default(), [1, 2]))
    }

    #[test]
    fn the_first_of_each_kind_are_written_raw_and_readable() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join(FOLDER);
        let mut register = Register::open(folder.clone());
        let file = register.take(&death("www.example.com. A")).unwrap().unwrap();
        assert_eq!(fs::read(&file).unwrap(), QUERY);
        let text = fs::read_to_string(file.with_extension("txt")).unwrap();
        for line in [
            "kind       hang",
            "why        it had not ended after 512 ms",
            "source     192.0.2.1:4711",
            "question   www.example.com. IN A",
            "dropped    www.example.com. A",
            "not        all below example.com. A: that would be whole zones",
            "0000  07 07 01 00 00 01 00 00 00 00 00 00 03 77 77 77  .............www",
            "0020  01                                               .",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in {text}");
        }
        let more = (0..10).filter(|_| register.take(&death("www.example.com. A")).unwrap().is_some()).count();
        assert_eq!(more, WRITTEN_OF_KIND_MAX - 1);
        assert_eq!(fs::read(&file).unwrap(), QUERY, "it stays");
        let others = (0..1000).filter(|n| register.take(&death(&format!("n{n}. A"))).unwrap().is_some()).count();
        assert_eq!(others, WRITTEN_MAX - WRITTEN_OF_KIND_MAX);
        assert_eq!(messages_in(&folder).count(), WRITTEN_MAX);
        // Nor is there room for more after a start.
        assert!(Register::open(folder).take(&death("other. A")).unwrap().is_none());
    }

    #[test]
    fn what_killed_a_moment_ago_is_kept_away_after_a_start() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        let now_s = unix_s(SystemTime::now());
        let write = |name: String, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
        write(format!("{}-000-hang-answering.bin", now_s - 5), QUERY);
        write(format!("{}-001-panic-reading.bin", now_s - 5), &QUERY[..20]);
        write(format!("{}-002-hang-answering.bin", now_s - 5000), &QUERY[..30]);
        write("what-is-this.bin".to_owned(), QUERY);
        write(format!("{now_s}-003-hang-answering.txt"), QUERY);
        let filters = filters();
        keep_away_again(&folder, &filters, Duration::from_secs(600));
        let mut kept: Vec<String> = filters.quarantined(filter_time()).into_iter().map(|kept| kept.like).collect();
        kept.sort();
        assert_eq!(kept, ["the same message of 20 bytes", "the same message of 33 bytes", "www.example.com. A"]);
        keep_away_again(&state.path().join("nowhere"), &filters, Duration::from_secs(600));
    }

    #[test]
    fn deaths_are_written_beside_who_reports_them_and_giving_up_is_told() {
        let state = tempfile::tempdir().unwrap();
        let deaths = Deaths::start(state.path(), &filters()).unwrap();
        let given_up = deaths.given_up();
        // Never waits, however many there are.
        (0..1000).for_each(|number| deaths.died(death(&format!("n{number}. A"))));
        let until = Instant::now() + Duration::from_secs(20);
        while messages_in(&state.path().join(FOLDER)).count() < WAITING_MAX.min(WRITTEN_MAX) {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(*given_up.borrow(), None);
        DeathHandler::given_up(&deaths, "16 threads hang");
        assert_eq!(given_up.borrow().as_deref(), Some("16 threads hang"));
    }
}
