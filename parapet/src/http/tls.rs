//! TLS at an HTTP port. The handshake is part of the connection, not of accepting it: a client that is slow at it holds
//! up itself alone.

use std::fs;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// Largest file of certificates.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// The cryptography of all of this.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A certificate chain and its key, as files in PEM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TlsFiles<'f> {
    pub(crate) certificate: &'f Path,
    pub(crate) key_file: &'f Path,
}

impl TlsFiles<'_> {
    /// Reads both; the error says which file, and what is wrong with it.
    pub(crate) fn acceptor(self) -> Result<TlsAcceptor, String> {
        let chain = read_certificates(self.certificate)?;
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", self.key_file.display());
        let key = read(self.key_file)?;
        let key =
            PrivateKeyDer::from_pem_slice(&key).map_err(|why| wrong(&format_args!("no private key in PEM ({why})")))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(DEFAULT_VERSIONS)
            .map_err(|why| wrong(&why))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|why| wrong(&format_args!("the key does not go with {} ({why})", self.certificate.display())))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The certificates that a client trusts: those of a file, or the system's.
pub(crate) fn client_roots(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    match file {
        Some(file) => read_certificates(file),
        None => Ok(rustls_native_certs::load_native_certs().certs),
    }
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("{}: no certificate in PEM", file.display())),
        Err(why) => Err(format!("{}: no certificate in PEM ({why})", file.display())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let bytes = fs::metadata(file).map_err(|why| wrong(&why))?.len();
    if bytes > PEM_BYTES_MAX {
        return Err(wrong(&format_args!("{bytes} bytes are no certificate or key")));
    }
    fs::read(file).map_err(|why| wrong(&why))
}

/// A connection with TLS or without.
pub(crate) enum ServerStream<S> {
    Plain(S),
    Handshake(Box<Accept<S>>),
    Tls(Box<TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> ServerStream<S> {
    pub(crate) fn new(stream: S, tls: Option<&TlsAcceptor>) -> Self {
        match tls {
            Some(acceptor) => Self::Handshake(Box::new(acceptor.accept(stream))),
            None => Self::Plain(stream),
        }
    }

    /// The stream beyond the handshake.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Handshake(accept) = self {
            *self = Self::Tls(Box::new(ready!(Pin::new(accept).poll(context))?));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ServerStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Handshake(_) => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ServerStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_ready(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Handshake(_) => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            // Nothing was written yet.
            Self::Handshake(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            // A handshake that was given up ends with its socket.
            Self::Handshake(_) => Poll::Ready(Ok(())),
        }
    }
}
