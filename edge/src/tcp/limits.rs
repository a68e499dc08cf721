//! Which connections may be open: so many in all, so many for each client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{TcpSettings, stats::DropReason};

/// When this share of all connections is open (in eighths), idle ones have to make room sooner.
const PRESSURE_EIGHTHS: usize = 6;

/// The connections of all the lane's threads. Only opening and closing one takes its lock.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    pressure: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Table {
    open: usize,
    connections_max: usize,
    /// Bounded by `open`: a client without a connection has no entry.
    clients: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Connections { table: Mutex::default(), pressure: watch::Sender::new(false) })
    }

    /// Tells whether connections are scarce, now and whenever that changes.
    pub(crate) fn watch_pressure(&self) -> watch::Receiver<bool> {
        self.pressure.subscribe()
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.lock().open
    }

    /// Lets a connection in; it counts until the slot is dropped.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr, settings: &TcpSettings) -> Result<Slot, DropReason> {
        let client = client_of(ip);
        let mut table = self.lock();
        table.connections_max = settings.connections_max;
        if table.open >= settings.connections_max {
            return Err(DropReason::TcpConnectionsMax);
        }
        let open_here = table.clients.get(&client).copied().unwrap_or(0);
        if open_here >= settings.connections_per_client_max {
            return Err(DropReason::TcpConnectionsPerClientMax);
        }
        table.clients.insert(client, open_here + 1);
        table.open += 1;
        self.tell_pressure(&table);
        Ok(Slot { connections: Arc::clone(self), client })
    }

    fn release(&self, client: IpAddr) {
        let mut table = self.lock();
        table.open = table.open.saturating_sub(1);
        match table.clients.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                table.clients.remove(&client);
            }
        }
        self.tell_pressure(&table);
    }

    fn tell_pressure(&self, table: &Table) {
        let pressure = table.open * 8 >= table.connections_max * PRESSURE_EIGHTHS;
        self.pressure.send_if_modified(|told| std::mem::replace(told, pressure) != pressure);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Each critical section leaves the table whole, so a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Arc<Connections>,
    client: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.release(self.client);
    }
}

/// Who a limit holds for: an IPv4 address, or the /64 that one IPv6 host can have all addresses of.
fn client_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(connections_max: usize, connections_per_client_max: usize) -> TcpSettings {
        TcpSettings { connections_max, connections_per_client_max, ..TcpSettings::default() }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_client_has_its_share() {
        let connections = Connections::new();
        let settings = settings(100, 2);
        let first = connections.admit(ip("192.0.2.1"), &settings).unwrap();
        let _second = connections.admit(ip("192.0.2.1"), &settings).unwrap();
        let refused = connections.admit(ip("192.0.2.1"), &settings).unwrap_err();
        assert_eq!(refused, DropReason::TcpConnectionsPerClientMax);
        let _other = connections.admit(ip("192.0.2.2"), &settings).unwrap();
        drop(first);
        let _again = connections.admit(ip("192.0.2.1"), &settings).unwrap();
        assert_eq!(connections.open(), 3);
    }

    #[test]
    fn an_ipv6_client_is_a_64_prefix() {
        let connections = Connections::new();
        let settings = settings(100, 1);
        let _first = connections.admit(ip("2001:db8::1"), &settings).unwrap();
        assert!(connections.admit(ip("2001:db8::ffff:1"), &settings).is_err());
        let _other = connections.admit(ip("2001:db8:0:1::1"), &settings).unwrap();
    }

    #[test]
    fn pressure_comes_and_goes_with_the_connections() {
        let connections = Connections::new();
        let settings = settings(4, 4);
        let pressure = connections.watch_pressure();
        let mut slots: Vec<Slot> = Vec::new();
        for (number, expected) in [(1, false), (2, false), (3, true), (4, true)] {
            slots.push(connections.admit(ip("192.0.2.1"), &settings).unwrap());
            assert_eq!(*pressure.borrow(), expected, "{number} open");
        }
        assert_eq!(connections.admit(ip("192.0.2.9"), &settings).unwrap_err(), DropReason::TcpConnectionsMax);
        slots.truncate(2);
        assert!(!*pressure.borrow());
        slots.clear();
        assert_eq!(connections.open(), 0);
        assert!(connections.lock().clients.is_empty());
    }
}
