//! HTTP connections, few at a time and none for long: whoever reads metrics or asks the API has no claim on the daemon's
//! descriptors.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_rustls::TlsAcceptor;

use super::tls::ServerStream;
use crate::failure::Failure;

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections can take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections at one time.
    pub(crate) connections_max: usize,
    /// Connections of one address at one time; more are closed at once.
    pub(crate) connections_per_client_max: usize,
    /// How long one may last; a client that keeps it open gets a new one after that.
    pub(crate) connection_max: Duration,
}

/// A listening socket, bound while the process may still bind any port.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    pub(crate) listener: StdListener,
    /// With the port that the system chose.
    pub(crate) address: SocketAddr,
}

impl BoundSocket {
    /// Binds; `what` and `item` are for the message: what cannot be served, and what in the configuration says where.
    pub(crate) fn bind(address: SocketAddr, what: &str, item: &str) -> Result<Self, Failure> {
        let bind = || {
            let listener = StdListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|why: io::Error| {
            Failure::Runtime(format!(
                "cannot serve {what} at {address} ({why}): free that port, or name another with {item}"
            ))
        })
    }
}

/// Accepts within bounds, with or without TLS.
pub(crate) struct BoundedListener {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    bounds: Bounds,
    tls: Option<TlsAcceptor>,
    clients: Clients,
}

impl BoundedListener {
    pub(crate) fn new(listener: StdListener, bounds: Bounds, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let connections = Arc::new(Semaphore::new(bounds.connections_max));
        Ok(Self { listener: TcpListener::from_std(listener)?, connections, bounds, tls, clients: Clients::default() })
    }
}

/// Who asks, for handlers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, BoundedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let Some(client) = self.clients.admit(peer.ip(), self.bounds.connections_per_client_max) else {
                        tracing::debug!(%peer, "too many HTTP connections from one address");
                        continue;
                    };
                    let end = Box::pin(sleep(self.bounds.connection_max));
                    let stream = ServerStream::new(stream, self.tls.as_ref());
                    return (BoundedStream { stream, end, _permit: permit, _client: client }, peer);
                }
                Err(why) => {
                    tracing::debug!(%why, "cannot accept an HTTP connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

pub(crate) struct BoundedStream {
    stream: ServerStream<TcpStream>,
    end: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
    _client: Client,
}

/// Open connections by address; there are no more than connections.
#[derive(Clone, Default)]
struct Clients(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of a client; it counts until this is gone.
struct Client {
    address: IpAddr,
    clients: Clients,
}

impl Clients {
    fn admit(&self, address: IpAddr, connections_max: usize) -> Option<Client> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = clients.entry(address).or_default();
        if *open >= connections_max {
            return None;
        }
        *open += 1;
        Some(Client { address, clients: self.clone() })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut clients = self.clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = clients.get_mut(&self.address) {
            *open -= 1;
            if *open == 0 {
                clients.remove(&self.address);
            }
        }
    }
}

impl BoundedStream {
    /// An error once the connection's time is over.
    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let clients = Clients::default();
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let held: Vec<_> = (0..2).map(|_| clients.admit(one, 2).unwrap()).collect();
        assert!(clients.admit(one, 2).is_none());
        assert!(clients.admit(other, 2).is_some());
        drop(held);
        assert!(clients.admit(one, 2).is_some());
        assert!(clients.0.lock().unwrap().is_empty());
    }
}
