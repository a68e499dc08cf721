//! Connections to an origin: TCP, or TLS over it (RFC 9103). This is the one place where they are made.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use wire::Rtype;

use crate::error::Error;
use crate::settings::Upstream;
use crate::tls::{self, TlsFault};

/// How long making a TCP connection may take, and again the TLS handshake on it.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// What is read from the system at once.
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// A connection to one address of one origin; messages go over it one after the other.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<Stream>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Connects: with TLS if the origin is configured so.
    ///
    /// # Errors
    /// Why there is no connection, or none that can be trusted.
    pub(crate) async fn open(upstream: &Upstream) -> Result<Connection, Error> {
        let tcp = connect_tcp(upstream).await?;
        let stream = match &upstream.origin.tls {
            None => Stream::Tcp(tcp),
            Some(client) => {
                let address = upstream.address;
                match timeout(CONNECT_WAIT, client.handshake(tcp, address.ip())).await {
                    Ok(shaken) => Stream::Tls(Box::new(shaken.map_err(|error| match tls::fault_of(&error) {
                        Some(fault) => Error::Tls { address, fault },
                        None if error.kind() == io::ErrorKind::UnexpectedEof => {
                            Error::Tls { address, fault: TlsFault::HungUp }
                        }
                        None => Error::Connect { address, source: error },
                    })?)),
                    Err(_) => return Err(Error::Tls { address, fault: TlsFault::Silent }),
                }
            }
        };
        Ok(Connection { stream: BufReader::with_capacity(READ_BUFFER_BYTES, stream) })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Error::Send`], [`Error::Tls`].
    pub(crate) async fn send(&mut self, upstream: &Upstream, request: &[u8], question: Rtype) -> Result<(), Error> {
        let mut framed = Vec::with_capacity(request.len() + 2);
        framed.extend_from_slice(&u16::try_from(request.len()).unwrap_or(u16::MAX).to_be_bytes());
        framed.extend_from_slice(request);
        let sent = match self.stream.write_all(&framed).await {
            Ok(()) => self.stream.flush().await,
            failed => failed,
        };
        sent.map_err(|source| tls::or_else(source, upstream.address, |source| Error::Send { question, source }))
    }

    /// Receives a message; what the buffer held is lost.
    ///
    /// # Errors
    /// What the system says, or TLS; [`io::ErrorKind::UnexpectedEof`] when the other side hung up.
    pub(crate) async fn receive(&mut self, message: &mut Vec<u8>) -> io::Result<()> {
        let length = usize::from(self.stream.read_u16().await?);
        message.resize(length, 0);
        self.stream.read_exact(message).await?;
        Ok(())
    }
}

async fn connect_tcp(upstream: &Upstream) -> Result<TcpStream, Error> {
    let address = upstream.address;
    let failed = |source| Error::Connect { address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    if let Some(source_address) = upstream.source() {
        socket.bind(source_address).map_err(|source| Error::SourceAddress { source_address, source })?;
    }
    let stream = match timeout(CONNECT_WAIT, socket.connect(address)).await {
        Ok(connected) => connected.map_err(failed)?,
        Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
    };
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
