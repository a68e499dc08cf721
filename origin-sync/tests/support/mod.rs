//! What the tests stand on: an origin-sync in this process that takes NOTIFYs on a socket of its own, a real `named`, and
//! waiting for a condition with a deadline.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod bind;
pub(crate) mod daemon;
pub(crate) mod primary;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use config::{SecretFile, SecretFiles};
use origin_sync::{NotifyOutcome, OriginSync, ZoneStatus};
use tokio::runtime::Runtime;
use wire::{Class, Flags, Header, Name, Opcode, Rcode, Rtype, Section, Writer};
use zones::{Zone, ZoneState, Zones};

/// The secret of the key `transfer.test.` (hmac-sha256 unless said otherwise).
pub(crate) const SECRET: &str = "bm90IGEgc2VjcmV0IGF0IGFsbCwganVzdCBiYXNlNjQ=";
/// Another one.
pub(crate) const WRONG_SECRET: &str = "YW5vdGhlciBzZWNyZXQgdGhhdCBpcyBub3Qgc2VjcmV0";
/// How long any condition may take to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `probe` gives something.
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An address on loopback whose port is free for UDP and TCP at this moment.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Key files as `tsig-keygen` prints them: `/right` and `/wrong` have keys of one name.
struct KeyFiles;

impl SecretFiles for KeyFiles {
    fn read(&self, path: &Path) -> Result<SecretFile, String> {
        let secret = if path == Path::new("/right") { SECRET } else { WRONG_SECRET };
        let text = format!("key \"transfer.test\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};");
        Ok(SecretFile { text, world_readable: false })
    }
}

/// A configuration from the parts of a network file that matter here; timers are as short as they can be.
pub(crate) fn config(state_dir: &Path, parts: &str) -> config::Config {
    let text = format!(
        "[node.test]\nlisten = [\"127.0.0.1:53\"]\nstate_dir = {state_dir:?}\n\
         [key.transfer]\nkey_file = \"/right\"\n[key.wrong]\nkey_file = \"/wrong\"\n\
         {parts}"
    );
    let text = match config::Network::parse(&text, "test.toml", &KeyFiles) {
        Ok(network) => return network.value.for_node("test").unwrap(),
        Err(diagnostics) => format!("{text}\n{diagnostics}"),
    };
    panic!("{text}");
}

/// An origin-sync with the zones that it publishes, and a socket for NOTIFYs.
/// More than a test makes.
const ZONES_MAX: usize = 4096;

pub(crate) struct Edge {
    pub(crate) zones: Arc<Zones>,
    pub(crate) sync: Option<OriginSync>,
    pub(crate) runtime: Runtime,
    pub(crate) notify_at: SocketAddr,
    ends: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Edge {
    pub(crate) fn start(config: &config::Config) -> Edge {
        Edge::start_at(config, "127.0.0.1:0".parse().unwrap())
    }

    /// With NOTIFYs taken at an address that is known beforehand.
    pub(crate) fn start_at(config: &config::Config, notify_at: SocketAddr) -> Edge {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // As where there is a kernel lane: each zone has a number that says when its answers change.
        let generations = Box::leak((0..1 + ZONES_MAX).map(|_| AtomicU64::new(0)).collect());
        let zones = Arc::new(Zones::with_generations(generations));
        let cache = Arc::new(cache::Cache::new(config.node.limits.cache_bytes_max));
        let sync = OriginSync::start(config, Arc::clone(&zones), cache, runtime.handle()).unwrap();
        let socket = UdpSocket::bind(notify_at).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let notify_at = socket.local_addr().unwrap();
        let (ends, notifier) = (Arc::new(AtomicBool::new(false)), sync.notifier());
        let end = Arc::clone(&ends);
        let listener = std::thread::spawn(move || {
            let (mut message, mut out) = ([0; 4096], [0; 4096]);
            while !end.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut message) else {
                    continue;
                };
                if let NotifyOutcome::Answer(length) = notifier.handle(&message[..length], peer, &mut out) {
                    socket.send_to(&out[..length], peer).unwrap();
                }
            }
        });
        Edge { zones, sync: Some(sync), runtime, notify_at, ends, listener: Some(listener) }
    }

    pub(crate) fn sync(&self) -> &OriginSync {
        self.sync.as_ref().unwrap()
    }

    pub(crate) fn zone(&self, apex: &str) -> Option<Arc<Zone>> {
        self.zones.get(apex.parse::<Name>().unwrap().as_ref())?.serving()
    }

    pub(crate) fn is_expired(&self, apex: &str) -> bool {
        let slot = self.zones.get(apex.parse::<Name>().unwrap().as_ref()).unwrap();
        matches!(**slot.state(), ZoneState::Expired(_))
    }

    pub(crate) fn serial(&self, apex: &str) -> Option<u32> {
        self.zone(apex).map(|zone| zone.serial())
    }

    pub(crate) fn wait_for_serial(&self, apex: &str, serial: u32) {
        wait_for(&format!("{apex} at serial {serial}"), || (self.serial(apex) == Some(serial)).then_some(()));
    }

    /// Gives it a NOTIFY from an origin on loopback, as a lane thread would.
    pub(crate) fn notify(&self, apex: &str, serial: u32) {
        let mut message = [0; 512];
        let mut writer = Writer::new(&mut message, 512).unwrap();
        writer.set_flags(Flags::default().with_opcode(Opcode::NOTIFY).with_aa(true));
        let apex: Name = apex.parse().unwrap();
        writer.question(apex.as_ref(), Rtype::SOA, Class::IN).unwrap();
        let mut rdata = vec![0, 0];
        rdata.extend_from_slice(&serial.to_be_bytes());
        rdata.extend_from_slice(&[0; 16]);
        writer.record(Section::Answer, apex.as_ref(), Rtype::SOA, Class::IN, 0, &rdata).unwrap();
        let length = writer.finish();
        let mut out = [0; 512];
        let outcome = self.sync().notifier().handle(&message[..length], ([127, 0, 0, 1], 53).into(), &mut out);
        assert!(matches!(outcome, NotifyOutcome::Answer(_)));
        assert_eq!(Header::parse(&out).unwrap().flags.rcode(), Rcode::NOERROR);
    }

    pub(crate) fn status(&self, apex: &str) -> ZoneStatus {
        self.sync().status().into_iter().find(|status| status.zone == apex).unwrap()
    }

    /// Waits for an attempt that failed with this reason.
    pub(crate) fn wait_for_error(&self, apex: &str, reason: &str) -> ZoneStatus {
        let mut last = None;
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            let status = self.status(apex);
            if status.last_error.as_deref().is_some_and(|error| error.contains(reason)) {
                return status;
            }
            last = status.last_error;
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("no attempt failed with {reason:?}; the last one: {last:?}");
    }

    /// Ends as a killed process does: nothing is told to stop, the files stay as they are.
    pub(crate) fn kill(mut self) {
        self.end_listener();
        drop(self.sync.take());
    }

    pub(crate) fn stop(mut self) {
        self.end_listener();
        if let Some(sync) = self.sync.take() {
            self.runtime.block_on(sync.stop());
        }
    }

    fn end_listener(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.end_listener();
    }
}

/// Every record of a zone as text, in order.
pub(crate) fn dump(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    zone.for_each_rrset(|rrset| {
        for rdata in rrset.rdatas {
            lines.push(format!("{} {} {} {rdata:02x?}", rrset.owner, rrset.ttl, rrset.rtype));
        }
        for rdata in rrset.rrsigs {
            lines.push(format!("{} {} {} {rdata:02x?}", rrset.owner, rrset.rrsig_ttl, Rtype::RRSIG));
        }
    });
    lines.sort();
    lines
}
