//! The task's connections: taken over, read, written to, lost.

use std::io;
use std::time::Instant;

use tokio::net::TcpStream;

use super::Task;
use crate::bgp::{ConnectionId, Event};
use crate::session::connection::{Broken, Connection};
use crate::session::md5_drops::Md5Drops;
use crate::session::{next_hops, words};

/// Once a connection is broken so many more buffers of it are read, for a NOTIFICATION that came before.
const LAST_READS_MAX: usize = 8;

impl Task {
    pub(super) fn add(&mut self, stream: TcpStream, incoming: bool) {
        let (Ok(local), Ok(remote)) = (stream.local_addr(), stream.peer_addr()) else {
            // It is over already.
            if !incoming {
                let reset = io::ErrorKind::ConnectionReset.into();
                let problem = words::connect_problem(&self.parts.link, &reset, Md5Drops::None);
                self.handle(Event::ConnectFailed(problem));
            }
            return;
        };
        self.md5_drops = Md5Drops::None;
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections.push(Connection::new(connection, stream, Instant::now()));
        let next_hops = next_hops::of_connection(local.ip(), remote.ip());
        self.handle(Event::Connected { connection, incoming, local, remote, next_hops });
    }

    pub(super) fn flush(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.iter_mut().find(|it| it.id == id) else { return };
        if let Err(broken) = connection.flush(Instant::now()) {
            self.lose(id, &broken);
        }
    }

    pub(super) fn read(&mut self, id: ConnectionId) {
        match self.read_once(id) {
            Ok(_) => {}
            Err(broken) => self.lose(id, &broken),
        }
    }

    /// Reads one buffer, and gives the machine the messages in it. Whether there was anything.
    pub(super) fn read_once(&mut self, id: ConnectionId) -> Result<bool, Broken> {
        let Some(connection) = self.connections.iter_mut().find(|it| it.id == id) else { return Ok(false) };
        let any = connection.read(&mut self.buffer)?;
        while let Some(connection) = self.connections.iter_mut().find(|it| it.id == id)
            && let Some(frame) = connection.framer.next()
        {
            self.handle(Event::Received(id, frame));
        }
        Ok(any)
    }

    /// A connection is broken. What the router sent before may still be there, and say why.
    pub(super) fn lose(&mut self, id: ConnectionId, broken: &Broken) {
        for _ in 0..LAST_READS_MAX {
            if !matches!(self.read_once(id), Ok(true)) {
                break;
            }
        }
        if self.remove(id).is_some() {
            let why = words::broken(&self.parts.link, broken);
            self.handle(Event::Closed(id, why));
        }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let place = self.connections.iter().position(|it| it.id == id)?;
        Some(self.connections.swap_remove(place))
    }
}
