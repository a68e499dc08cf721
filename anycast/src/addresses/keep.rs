//! The keeper's own process, from its start to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use tokio::net::UnixDatagram;
use tokio::time::sleep;

use super::netlink::Netlink;
use super::record::Record;
use super::report::Report;
use super::standing::{Standing, standing};
use crate::AddressStatus;

/// How often it looks, should the kernel not tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An address that is taken away again and again is put back this often at most.
const PUT_BACK_EVERY: Duration = Duration::from_secs(1);
/// From a change to the look at it: changes come in swarms.
const SETTLE: Duration = Duration::from_millis(10);

/// Keeps the addresses on `lo` until the other end of `daemon` closes; then takes away what it put there. The record is in
/// the state folder. The process should have CAP_NET_ADMIN and no other right.
///
/// # Errors
/// What could not be done; the daemon has been told of it.
pub fn keep(state_dir: &Path, addresses: &[IpAddr], daemon: OwnedFd) -> io::Result<()> {
    // Whoever stops the daemon's process group, or all processes of a service, does not stop this one: it has to outlive
    // the daemon by a moment, and does not outlive it by more.
    SigSet::all().thread_block()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let daemon = std::os::unix::net::UnixDatagram::from(daemon);
        daemon.set_nonblocking(true)?;
        let daemon = UnixDatagram::from_std(daemon)?;
        let mut keeping = match Keeping::begin(state_dir, addresses).await {
            Ok(keeping) => keeping,
            Err(why) => {
                say(&daemon, &Report::Failed(why.to_string()));
                return Err(why);
            }
        };
        // The daemon waits for it, changed or not.
        say(&daemon, &Report::Addresses(keeping.statuses.clone()));
        loop {
            tokio::select! {
                () = ended(&daemon) => break,
                () = keeping.netlink.changed() => sleep(SETTLE).await,
                () = sleep(LOOK_EVERY) => {}
            }
            keeping.look(&daemon).await;
        }
        keeping.end().await
    })
}

/// What is kept.
struct Keeping {
    netlink: Netlink,
    record: Record,
    statuses: Vec<AddressStatus>,
    /// When each was put on `lo` last.
    put: BTreeMap<IpAddr, Instant>,
    reported: Vec<AddressStatus>,
}

impl Keeping {
    /// Takes over what an earlier run has left, takes away what of it is not wanted any more, and puts the rest on `lo`.
    async fn begin(state_dir: &Path, wanted: &[IpAddr]) -> io::Result<Self> {
        let during = |what: &'static str| move |why: io::Error| io::Error::new(why.kind(), format!("{what}: {why}"));
        let record =
            Record::open(state_dir).map_err(during("the record of addresses in the state folder is unusable"))?;
        let netlink = Netlink::open().await.map_err(during("no netlink"))?;
        let status = |address: &IpAddr| AddressStatus { address: *address, present: false, ours: false, problem: None };
        let mut keeping = Self {
            netlink,
            record,
            statuses: wanted.iter().map(status).collect(),
            put: BTreeMap::new(),
            reported: Vec::new(),
        };
        let wanted: BTreeSet<IpAddr> = wanted.iter().copied().collect();
        let leftover: Vec<_> = keeping.record.addresses().difference(&wanted).copied().collect();
        keeping.take_away(&leftover).await.map_err(during("cannot take away an address that an earlier run left"))?;
        keeping.settle().await?;
        match keeping.statuses.iter().find_map(|status| Some((status.address, status.problem.as_ref()?))) {
            None => Ok(keeping),
            Some((address, problem)) => {
                let why = io::Error::other(format!("{address}: {problem}"));
                // Those that could be put there go again.
                keeping.end().await?;
                Err(why)
            }
        }
    }

    /// Looks how all addresses are, puts back what is missing, and reports what has changed.
    async fn look(&mut self, daemon: &UnixDatagram) {
        match self.settle().await {
            Ok(put_back) => put_back.into_iter().for_each(|address| say(daemon, &Report::PutBack(address))),
            Err(why) => self.statuses.iter_mut().for_each(|status| status.problem = Some(why.to_string())),
        }
        self.report(daemon);
    }

    /// Puts on `lo` what is missing. Says what had been there before.
    async fn settle(&mut self) -> io::Result<Vec<IpAddr>> {
        let present = self.netlink.addresses().await?;
        let standing_of = |address| standing(address, &present, self.record.addresses(), self.netlink.lo);
        let mut statuses = std::mem::take(&mut self.statuses);
        let standings: Vec<_> = statuses.iter().map(|status| standing_of(status.address)).collect();
        // Written down before it is put there: what is there without being in the record would stay for ever.
        let recorded =
            statuses.iter().zip(&standings).filter(|(_, standing)| !matches!(standing, Standing::Foreign(_)));
        let recorded = self.record.set(recorded.map(|(status, _)| status.address).collect());
        let mut put_back = Vec::new();
        for (status, standing) in statuses.iter_mut().zip(standings) {
            status.present = standing != Standing::Missing;
            status.ours = standing == Standing::Ours;
            let due = self.put.get(&status.address).is_none_or(|put| put.elapsed() >= PUT_BACK_EVERY);
            if status.present || !due {
                status.problem = if status.present { None } else { status.problem.take() };
                continue;
            }
            let put = match &recorded {
                Ok(()) => self.netlink.put(status.address).await,
                Err(why) => Err(io::Error::new(why.kind(), format!("its record cannot be written: {why}"))),
            };
            let before = self.put.insert(status.address, Instant::now());
            status.present = put.is_ok();
            status.ours = put.is_ok();
            if before.is_some() && put.is_ok() && status.problem.is_none() {
                put_back.push(status.address);
            }
            status.problem = put.err().map(|why| explain(&why));
        }
        self.statuses = statuses;
        Ok(put_back)
    }

    fn report(&mut self, daemon: &UnixDatagram) {
        if self.reported != self.statuses {
            say(daemon, &Report::Addresses(self.statuses.clone()));
            self.reported.clone_from(&self.statuses);
        }
    }

    /// Takes away those that are ours.
    async fn take_away(&self, addresses: &[IpAddr]) -> io::Result<()> {
        let present = self.netlink.addresses().await?;
        for address in addresses {
            if standing(*address, &present, self.record.addresses(), self.netlink.lo) == Standing::Ours {
                self.netlink.take_away(*address).await?;
            }
        }
        Ok(())
    }

    /// Takes everything away, and forgets it.
    async fn end(mut self) -> io::Result<()> {
        let all: Vec<_> = self.record.addresses().iter().copied().collect();
        self.take_away(&all).await?;
        self.record.set(BTreeSet::new())
    }
}

/// What to do about it.
fn explain(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "{why}: start as root or with CAP_NET_ADMIN (and IPv6 on, for its addresses), or put it there yourself and \
             set manage_addresses = false"
        ),
        _ => why.to_string(),
    }
}

/// The daemon that does not listen has other troubles; it gets the next report.
fn say(daemon: &UnixDatagram, report: &Report) {
    let _ = daemon.try_send(report.encode().as_bytes());
}

/// Returns when the other end has closed.
async fn ended(daemon: &UnixDatagram) {
    let mut nothing = [0; 64];
    while daemon.readable().await.is_ok() {
        match daemon.try_recv(&mut nothing) {
            Ok(0) => return,
            // The daemon has nothing to say.
            Ok(_) => {}
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
