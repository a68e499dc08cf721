//! What the speaker takes while the process has its privileges: ports, and passwords from files of others.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};

use super::link::{Link, listen, prepare_listener};
use super::password::Password;
use crate::Error;

/// Listeners and passwords, for [`Speaker::start`](super::Speaker::start).
#[derive(Debug)]
pub struct Bound {
    pub(super) listeners: Vec<(SocketAddr, TcpListener)>,
    pub(super) passwords: HashMap<String, Password>,
}

impl Bound {
    /// Binds and reads all that the configuration names.
    pub(super) fn new(anycast: &config::Anycast) -> Result<Self, Error> {
        let mut passwords = HashMap::new();
        for neighbour in &anycast.neighbours {
            if let Some(path) = &neighbour.password_file {
                passwords.insert(neighbour.name.clone(), Password::read(&neighbour.name, path)?);
            }
        }
        let bind = |&address: &SocketAddr| {
            let listener = listen(address).map_err(|source| Error::Listen { address, source })?;
            let local = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
            Ok((local, listener))
        };
        let listeners = anycast.listen.iter().map(bind).collect::<Result<Vec<_>, Error>>()?;
        let links: Vec<Link> = anycast
            .neighbours
            .iter()
            .map(|neighbour| Link::new(neighbour, passwords.get(&neighbour.name).cloned()))
            .collect();
        for (address, listener) in &listeners {
            let protected = prepare_listener(listener, *address, &links.iter().collect::<Vec<_>>(), &[]);
            protected.map_err(|source| Error::Protect { address: *address, source })?;
        }
        Ok(Self { listeners, passwords })
    }

    /// The addresses that routers can connect to, with the ports that the kernel chose where the file says 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(address, _)| *address).collect()
    }
}
