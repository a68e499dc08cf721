//! The daemon's side of the keeper.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::report::{REPORT_BYTES_MAX, Report};
use crate::{AddressReader, AddressStatus, Error};

/// How long the addresses may take to be there; a keeper of a run before may be at work first.
const START_MAX: Duration = Duration::from_secs(10);
/// How long they may take to go.
const STOP_MAX: Duration = Duration::from_secs(3);
/// Pause between two looks at whether the keeper has ended.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(2);

/// The process that keeps the addresses. They go when this is dropped, or when the daemon dies.
#[derive(Debug)]
pub struct Keeper {
    socket: Arc<UnixDatagram>,
    child: Mutex<Child>,
    statuses: Arc<ArcSwap<Vec<AddressStatus>>>,
    stopping: Arc<AtomicBool>,
}

impl Keeper {
    /// Starts `command`, which must come to [`super::keep`] with its standard input, and waits until the addresses are
    /// there. To be called while the process has its privileges and no other threads.
    ///
    /// # Errors
    /// When an address cannot be put on `lo`; none of them is there then.
    pub fn start(mut command: Command) -> Result<Self, Error> {
        let failure = |why: String| Error::Addresses { why };
        // Messages stay whole, and the other side sees the end.
        let (own, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|why| failure(format!("no socket pair: {why}")))?;
        // Ctrl-C goes to a process group; it is not for the keeper.
        command.stdin(Stdio::from(its)).stdout(Stdio::null()).process_group(0);
        let child = command.spawn().map_err(|why| failure(format!("its process cannot be started: {why}")))?;
        // The command holds the keeper's end.
        drop(command);
        let keeper = Self {
            socket: Arc::new(UnixDatagram::from(own)),
            child: Mutex::new(child),
            statuses: Arc::default(),
            stopping: Arc::default(),
        };
        let set_timeout = |timeout| keeper.socket.set_read_timeout(timeout).map_err(|why| failure(why.to_string()));
        set_timeout(Some(START_MAX))?;
        match receive(&keeper.socket, &mut vec![0; REPORT_BYTES_MAX]) {
            Ok(Some(Report::Addresses(statuses))) => {
                statuses.iter().for_each(log);
                keeper.statuses.store(Arc::new(statuses));
            }
            Ok(Some(Report::Failed(why))) => return Err(failure(why)),
            Ok(_) => return Err(failure("its process has ended".into())),
            Err(why) => return Err(failure(format!("its process says nothing: {why}"))),
        }
        set_timeout(None)?;
        Ok(keeper)
    }

    /// Follows what the keeper says, on a thread; to be called once privileges are given up.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn follow(&self) -> Result<(), Error> {
        let (socket, statuses) = (Arc::clone(&self.socket), Arc::clone(&self.statuses));
        let stopping = Arc::clone(&self.stopping);
        let thread = thread::Builder::new().name("addresses".into());
        let thread = thread.spawn(move || {
            let mut buffer = vec![0; REPORT_BYTES_MAX];
            while let Ok(Some(report)) = receive(&socket, &mut buffer) {
                take(report, &statuses);
            }
            if !stopping.load(Ordering::Acquire) {
                lose(&statuses);
            }
        });
        thread.map(drop).map_err(|why| Error::Addresses { why: format!("no thread: {why}") })
    }

    /// Says how the addresses are, at any time.
    pub fn reader(&self) -> AddressReader {
        let statuses = Arc::clone(&self.statuses);
        Arc::new(move || statuses.load().to_vec())
    }

    /// Has the addresses taken away, and waits until they are, some milliseconds. Twice does no harm.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + STOP_MAX;
        loop {
            match child.try_wait() {
                Ok(None) if Instant::now() < until => thread::sleep(STOP_LOOK_EVERY),
                Ok(None) => return tracing::warn!("the services' addresses are not yet gone from lo"),
                Ok(Some(status)) if status.success() => return,
                Ok(Some(status)) => return tracing::warn!(%status, "the services' addresses may not be gone from lo"),
                Err(why) => return tracing::warn!(%why, "the process that keeps the addresses is lost"),
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for the next report; none after the last.
fn receive(socket: &UnixDatagram, buffer: &mut [u8]) -> io::Result<Option<Report>> {
    loop {
        match socket.recv(buffer) {
            Ok(0) => return Ok(None),
            Ok(length) => match buffer.get(..length).and_then(Report::decode) {
                Some(report) => return Ok(Some(report)),
                None => tracing::debug!("a report on addresses cannot be read"),
            },
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}

fn take(report: Report, statuses: &ArcSwap<Vec<AddressStatus>>) {
    match report {
        Report::Addresses(new) => {
            let old = statuses.load();
            new.iter().filter(|status| !old.contains(status)).for_each(log);
            statuses.store(Arc::new(new));
        }
        Report::PutBack(address) => tracing::warn!(%address, "a service's address was taken from lo, and was put back"),
        Report::Failed(why) => tracing::error!(why, "the services' addresses cannot be kept"),
    }
}

fn log(status: &AddressStatus) {
    let address = status.address;
    match &status.problem {
        Some(problem) => tracing::error!(%address, problem, "a service's address is not on lo"),
        None if status.ours => tracing::info!(%address, "a service's address is on lo"),
        None if status.present => tracing::info!(%address, "a service's address was there already, and will stay"),
        None => tracing::warn!(%address, "a service's address is not there"),
    }
}

/// The keeper is gone, and what it put on `lo` is still there.
fn lose(statuses: &ArcSwap<Vec<AddressStatus>>) {
    tracing::error!("the process that keeps the services' addresses has ended; a restart has it again");
    let problem = Some("the process that keeps it has ended: restart".to_owned());
    let lost = |status: &AddressStatus| AddressStatus { problem: problem.clone(), ..status.clone() };
    statuses.store(Arc::new(statuses.load().iter().map(lost).collect()));
}
