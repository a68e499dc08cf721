//! Which connections may be open: so many in all, so many for each client. When all are open and one more client comes,
//! the connection that is worth least makes room for it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::{Notify, watch};

use crate::{TcpSettings, stats::DropReason};

/// When this share of all connections is open (in eighths), idle ones have to make room sooner.
const PRESSURE_EIGHTHS: usize = 6;
/// So many connections are compared when one has to make room; another part of them each time.
const COMPARED_MAX: usize = 1024;
/// A client that has never asked anything is worth so much less than one that has.
const SILENT_FACTOR: u64 = 4;

/// The connections of all the lane's threads. Only opening and closing one takes its lock.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    pressure: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Table {
    connections_max: usize,
    open: Vec<Arc<Place>>,
    /// Where comparing goes on.
    cursor: usize,
    /// Both bounded by `open`: who has no connection has no entry.
    clients: HashMap<IpAddr, usize>,
    prefixes: HashMap<IpAddr, usize>,
}

/// Who wants a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    /// Its address.
    pub(crate) ip: IpAddr,
    /// The first address of the prefix that shares a budget.
    pub(crate) prefix: IpAddr,
    /// It is never closed for others.
    pub(crate) exempt: bool,
    /// The thread that serves it.
    pub(crate) thread: u64,
    /// Milliseconds on the clock of [`Place::worked`].
    pub(crate) now_ms: u64,
}

/// An open connection, as others see it.
#[derive(Debug)]
pub(crate) struct Place {
    client: IpAddr,
    prefix: IpAddr,
    exempt: bool,
    thread: u64,
    /// Where it is in the table. Changed under its lock; `usize::MAX` once it is out.
    index: AtomicUsize,
    /// When it last had a whole message answered, or was opened.
    worked_ms: AtomicU64,
    has_asked: AtomicBool,
    /// It waits for an origin.
    waits: AtomicBool,
    leave: Notify,
}

impl Place {
    /// Its client asked something.
    pub(crate) fn worked(&self, now_ms: u64) {
        self.worked_ms.store(now_ms, Relaxed);
        self.has_asked.store(true, Relaxed);
    }

    /// Whether its client waits for us.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Relaxed);
    }

    /// Returns once it has to make room.
    pub(crate) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    /// How little it is worth: for how long it has done nothing, times how many its prefix has.
    fn unworthiness(&self, of_prefix: usize, now_ms: u64) -> u64 {
        if self.exempt {
            return 0;
        }
        let idle_ms = if self.waits.load(Relaxed) { 0 } else { now_ms.saturating_sub(self.worked_ms.load(Relaxed)) };
        let silent = if self.has_asked.load(Relaxed) { 1 } else { SILENT_FACTOR };
        (idle_ms + 1).saturating_mul(of_prefix as u64).saturating_mul(silent)
    }
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Connections { table: Mutex::default(), pressure: watch::Sender::new(false) })
    }

    /// Tells whether connections are scarce, now and whenever that changes.
    pub(crate) fn watch_pressure(&self) -> watch::Receiver<bool> {
        self.pressure.subscribe()
    }

    /// Whether connections are scarce.
    pub(crate) fn is_scarce(&self) -> bool {
        *self.pressure.borrow()
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.lock().open.len()
    }

    /// Lets a connection in; it counts until the slot is dropped. `make_room` says whether the client that is worth
    /// least may be made to leave for it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        newcomer: Newcomer,
        settings: &TcpSettings,
        make_room: impl FnOnce(IpAddr) -> bool,
    ) -> Result<Slot, DropReason> {
        let client = client_of(newcomer.ip);
        let mut table = self.lock();
        table.connections_max = settings.connections_max;
        if table.clients.get(&client).is_some_and(|open| *open >= settings.connections_per_client_max) {
            return Err(DropReason::TcpConnectionsPerClientMax);
        }
        if table.open.len() >= settings.connections_max {
            let least = table.least_worthy(newcomer.now_ms).filter(|least| make_room(least.client));
            let Some(least) = least else { return Err(DropReason::TcpConnectionsMax) };
            table.remove(&least);
            least.leave.notify_one();
        }
        let place = Arc::new(Place {
            client,
            prefix: newcomer.prefix,
            exempt: newcomer.exempt,
            thread: newcomer.thread,
            index: AtomicUsize::new(table.open.len()),
            worked_ms: AtomicU64::new(newcomer.now_ms),
            has_asked: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            leave: Notify::new(),
        });
        *table.clients.entry(client).or_default() += 1;
        *table.prefixes.entry(newcomer.prefix).or_default() += 1;
        table.open.push(Arc::clone(&place));
        self.tell_pressure(&table);
        Ok(Slot { connections: Arc::clone(self), place })
    }

    /// The connections of a thread are lost: it hangs, and will never give them back.
    pub(crate) fn forget(&self, thread: u64) {
        let mut table = self.lock();
        let lost: Vec<Arc<Place>> = table.open.iter().filter(|place| place.thread == thread).cloned().collect();
        lost.iter().for_each(|place| table.remove(place));
        self.tell_pressure(&table);
    }

    fn release(&self, place: &Arc<Place>) {
        let mut table = self.lock();
        table.remove(place);
        self.tell_pressure(&table);
    }

    fn tell_pressure(&self, table: &Table) {
        let pressure = table.open.len() * 8 >= table.connections_max * PRESSURE_EIGHTHS;
        self.pressure.send_if_modified(|told| std::mem::replace(told, pressure) != pressure);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Each critical section leaves the table whole, so a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The connection that is worth least among the next so many.
    fn least_worthy(&mut self, now_ms: u64) -> Option<Arc<Place>> {
        let begin = if self.cursor < self.open.len() { self.cursor } else { 0 };
        self.cursor = begin + COMPARED_MAX;
        let compared = self.open.iter().skip(begin).chain(self.open.iter().take(begin)).take(COMPARED_MAX);
        let judged = compared.map(|place| {
            let of_prefix = self.prefixes.get(&place.prefix).copied().unwrap_or(1);
            (place.unworthiness(of_prefix, now_ms), place)
        });
        let (unworthiness, place) = judged.max_by_key(|(unworthiness, _)| *unworthiness)?;
        (unworthiness > 0).then(|| Arc::clone(place))
    }

    /// Takes a connection out, unless it is out already.
    fn remove(&mut self, place: &Arc<Place>) {
        let index = place.index.swap(usize::MAX, Relaxed);
        if index >= self.open.len() {
            return;
        }
        self.open.swap_remove(index);
        if let Some(moved) = self.open.get(index) {
            moved.index.store(index, Relaxed);
        }
        for (counts, key) in [(&mut self.clients, place.client), (&mut self.prefixes, place.prefix)] {
            match counts.get_mut(&key) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(counts.remove(&key)),
            }
        }
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Arc<Connections>,
    place: Arc<Place>,
}

impl Slot {
    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.release(&self.place);
    }
}

/// Who a limit holds for: an IPv4 address, or the /64 that one IPv6 host can have all addresses of.
fn client_of(ip: IpAddr) -> IpAddr {
    prefix_of(ip, 32, 64)
}

/// The first address of the prefix of this length.
pub(crate) fn prefix_of(ip: IpAddr, ipv4_length: u8, ipv6_length: u8) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let host_bits = u32::from(32_u8.saturating_sub(ipv4_length));
            IpAddr::V4(Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0) & ip.to_bits()))
        }
        IpAddr::V6(ip) => {
            let host_bits = u32::from(128_u8.saturating_sub(ipv6_length));
            IpAddr::V6(Ipv6Addr::from_bits(u128::MAX.checked_shl(host_bits).unwrap_or(0) & ip.to_bits()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(connections_max: usize, connections_per_client_max: usize) -> TcpSettings {
        TcpSettings { connections_max, connections_per_client_max, ..TcpSettings::default() }
    }

    fn from(ip: &str, now_ms: u64) -> Newcomer {
        let ip = ip.parse().unwrap();
        Newcomer { ip, prefix: prefix_of(ip, 24, 56), exempt: false, thread: 1, now_ms }
    }

    fn admit(connections: &Arc<Connections>, ip: &str, settings: &TcpSettings) -> Result<Slot, DropReason> {
        connections.admit(from(ip, 0), settings, |_| false)
    }

    #[test]
    fn each_client_has_its_share() {
        let connections = Connections::new();
        let settings = settings(100, 2);
        let first = admit(&connections, "192.0.2.1", &settings).unwrap();
        let _second = admit(&connections, "192.0.2.1", &settings).unwrap();
        let refused = admit(&connections, "192.0.2.1", &settings).unwrap_err();
        assert_eq!(refused, DropReason::TcpConnectionsPerClientMax);
        let _other = admit(&connections, "192.0.2.2", &settings).unwrap();
        drop(first);
        let _again = admit(&connections, "192.0.2.1", &settings).unwrap();
        assert_eq!(connections.open(), 3);
    }

    #[test]
    fn an_ipv6_client_is_a_64_prefix() {
        let connections = Connections::new();
        let settings = settings(100, 1);
        let _first = admit(&connections, "2001:db8::1", &settings).unwrap();
        assert!(admit(&connections, "2001:db8::ffff:1", &settings).is_err());
        let _other = admit(&connections, "2001:db8:0:1::1", &settings).unwrap();
    }

    #[test]
    fn pressure_comes_and_goes_with_the_connections() {
        let connections = Connections::new();
        let settings = settings(4, 4);
        let pressure = connections.watch_pressure();
        let mut slots: Vec<Slot> = Vec::new();
        for (number, expected) in [(1, false), (2, false), (3, true), (4, true)] {
            slots.push(admit(&connections, "192.0.2.1", &settings).unwrap());
            assert_eq!(*pressure.borrow(), expected, "{number} open");
        }
        assert_eq!(admit(&connections, "192.0.2.9", &settings).unwrap_err(), DropReason::TcpConnectionsMax);
        slots.truncate(2);
        assert!(!*pressure.borrow());
        slots.clear();
        assert_eq!(connections.open(), 0);
        let table = connections.lock();
        assert!(table.clients.is_empty() && table.prefixes.is_empty());
    }

    /// Fills a table of four and lets one more in; says which of the four had to leave.
    fn pushed_out(four: [(&str, u64, bool, bool); 4]) -> Option<usize> {
        let connections = Connections::new();
        let settings = settings(4, 4);
        let slots = four.map(|(ip, worked_ms, asked, waits)| {
            let slot = connections.admit(from(ip, worked_ms), &settings, |_| false).unwrap();
            if asked {
                slot.place().worked(worked_ms);
            }
            slot.place().set_waits(waits);
            slot
        });
        let _newcomer = connections.admit(from("203.0.113.1", 1000), &settings, |_| true).unwrap();
        assert_eq!(connections.open(), 4);
        let out = slots.iter().position(|slot| slot.place().index.load(Relaxed) == usize::MAX);
        drop(slots);
        assert_eq!(connections.open(), 1, "who was out is not counted twice");
        out
    }

    #[test]
    fn the_least_worthy_makes_room() {
        // The one that did nothing for longest.
        let alike = |ms: [u64; 4]| {
            [
                ("192.0.2.1", ms[0], true, false),
                ("192.0.3.1", ms[1], true, false),
                ("192.0.4.1", ms[2], true, false),
                ("192.0.5.1", ms[3], true, false),
            ]
        };
        assert_eq!(pushed_out(alike([900, 500, 999, 600])), Some(1));
        // The one that never asked anything.
        let mut four = alike([900, 500, 999, 600]);
        four[3].2 = false;
        assert_eq!(pushed_out(four), Some(3));
        // Not the one that waits for us.
        let mut four = alike([900, 500, 999, 600]);
        four[1].3 = true;
        assert_eq!(pushed_out(four), Some(3));
        // One of the prefix that has most.
        let four = [
            ("192.0.2.1", 700, true, false),
            ("192.0.2.2", 710, true, false),
            ("192.0.2.3", 720, true, false),
            ("192.0.5.1", 500, true, false),
        ];
        assert_eq!(pushed_out(four), Some(0));
    }

    #[test]
    fn nobody_makes_room_who_is_exempt_and_what_a_lost_thread_had_is_free() {
        let connections = Connections::new();
        let settings = settings(2, 4);
        let exempt = |ip| Newcomer { exempt: true, ..from(ip, 0) };
        let slots = ["192.0.2.1", "192.0.2.2"].map(|ip| connections.admit(exempt(ip), &settings, |_| true).unwrap());
        let refused = connections.admit(from("192.0.2.3", 9000), &settings, |_| panic!("there is nobody to close"));
        assert_eq!(refused.unwrap_err(), DropReason::TcpConnectionsMax);
        connections.forget(2);
        assert_eq!(connections.open(), 2);
        connections.forget(1);
        assert_eq!(connections.open(), 0);
        let _new = connections.admit(from("192.0.2.3", 9000), &settings, |_| false).unwrap();
        drop(slots);
        assert_eq!(connections.open(), 1);
    }

    #[test]
    fn prefixes_of_any_length() {
        let of = |ip: &str, v4, v6| prefix_of(ip.parse().unwrap(), v4, v6).to_string();
        assert_eq!(of("192.0.2.129", 24, 56), "192.0.2.0");
        assert_eq!(of("192.0.2.129", 32, 56), "192.0.2.129");
        assert_eq!(of("192.0.2.129", 0, 0), "0.0.0.0");
        assert_eq!(of("::ffff:192.0.2.129", 25, 56), "192.0.2.128");
        assert_eq!(of("2001:db8:1:2ff::1", 24, 56), "2001:db8:1:200::");
        assert_eq!(of("2001:db8::1", 24, 128), "2001:db8::1");
    }
}
