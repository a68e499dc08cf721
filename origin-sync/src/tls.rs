//! TLS towards an origin (RFC 9103, zone transfer over TLS): TLS 1.3 alone, ALPN `dot`, and a server that is who it should
//! be, by its name and an authority, or by its key.
//!
//! There is no opportunistic mode: an origin that does not prove who it is gets no question. Authorities are those of
//! `ca_file`, or without it and without pins those that the machine trusts: the operator's own authority is one of them
//! where it was installed, and none goes stale in a binary. A pin is the SHA-256 of the server certificate's public key
//! (SubjectPublicKeyInfo); with pins the key alone counts, whatever name and dates the certificate has (RFC 8310 §8.1 has
//! both ways), and no authority is asked.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring as ring_provider, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};

use crate::error::Error;

/// The protocol in ALPN (RFC 7858 §3.1, RFC 9103 §7.1).
const ALPN: &[u8] = b"dot";
/// A file of certificates or a key is no larger than this.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// What is wrong with TLS towards an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate is for other names.
    #[error("its certificate is not for the name {expected} but for {presented}")]
    OtherName {
        /// The name that was expected (`server_name`, or the address).
        expected: String,
        /// The names that it has.
        presented: String,
    },
    /// The certificate has expired.
    #[error("its certificate expired {} s ago", now_unix_s.saturating_sub(*expired_unix_s))]
    Expired {
        /// When, in seconds since 1970.
        expired_unix_s: u64,
        /// When it was looked at.
        now_unix_s: u64,
    },
    /// The certificate is of the future.
    #[error("its certificate is not valid yet: compare the clocks")]
    NotYetValid,
    /// The certificate leads to no authority that is trusted.
    #[error("its certificate was not issued by an authority that is trusted (ca_file)")]
    UnknownIssuer,
    /// The certificate's key is not pinned.
    #[error("its certificate's key has the SHA-256 {found}, which is none of pins_sha256")]
    NotPinned {
        /// The digest of the key in hexadecimal digits.
        found: String,
    },
    /// The certificate cannot be used for another reason.
    #[error("its certificate cannot be used: {0}")]
    Certificate(String),
    /// The origin does not speak TLS 1.3.
    #[error("it does not speak TLS 1.3 (RFC 9103 allows nothing older)")]
    OldVersion,
    /// The origin does not speak the protocol that was offered.
    #[error("it does not speak DNS over TLS there (ALPN \"dot\")")]
    OtherProtocol,
    /// What it sent is not TLS.
    #[error("what it sends is not TLS")]
    NotTls,
    /// The origin refused us, for want of a certificate or because of it.
    #[error("it refused us ({0}): does it want a client certificate, or another one?")]
    RefusedUs(String),
    /// The origin ended the connection in the middle of the handshake, as BIND does when the versions don't fit.
    #[error("it hung up in the handshake: does it speak TLS 1.3 there? (RFC 9103 allows nothing older)")]
    HungUp,
    /// The handshake took too long.
    #[error("no TLS handshake within 5 s")]
    Silent,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// TLS as the configuration has it for one origin, with the files that it names read.
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    /// What was read: two that read the same are equal, so that a changed file counts as a changed configuration.
    read: Vec<Vec<u8>>,
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClient").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl PartialEq for TlsClient {
    fn eq(&self, other: &TlsClient) -> bool {
        self.server_name == other.server_name && self.read == other.read
    }
}

impl TlsClient {
    /// Reads the files and puts it together.
    ///
    /// # Errors
    /// [`Error::Configuration`]: which file, and what is wrong with it.
    pub(crate) fn load(origin: &str, settings: &config::Tls) -> Result<TlsClient, Error> {
        let item = |name: &str| format!("origin {origin}, tls.{name}");
        let wrong = |name: &str, why: String| Error::Configuration { item: item(name), why };
        let mut read = Vec::new();
        let server_name = match &settings.server_name {
            None => None,
            Some(name) => {
                let plain = name.trim_end_matches('.').to_owned();
                Some(ServerName::try_from(plain).map_err(|error| wrong("server_name", error.to_string()))?)
            }
        };
        let provider = Arc::new(ring_provider::default_provider());
        let authorities = match &settings.ca_file {
            _ if !settings.pins_sha256.is_empty() => None,
            Some(path) => Some(read_authorities(path, &mut read).map_err(|why| wrong("ca_file", why))?),
            None => Some(system_authorities().map_err(|why| wrong("ca_file", why))?),
        };
        let by_authority = match authorities {
            None => None,
            Some(roots) => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| wrong("ca_file", error.to_string()))?,
            ),
        };
        let verifier = Verifier { by_authority, pins: settings.pins_sha256.clone(), provider: Arc::clone(&provider) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong("server_name", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&settings.certificate, &settings.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = read_chain(certificate, &mut read).map_err(|why| wrong("certificate", why))?;
                let key = read_key(key, &mut read).map_err(|why| wrong("key_file", why))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| wrong("key_file", error.to_string()))?
            }
            (None, Some(_)) => return Err(wrong("certificate", "key_file is given without it".into())),
            (Some(_), None) => return Err(wrong("key_file", "certificate is given without it".into())),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_early_data = false;
        Ok(TlsClient { config: Arc::new(config), server_name, read })
    }

    /// Shakes hands on a connection; without `server_name` the certificate has to be for the address.
    ///
    /// # Errors
    /// What the system says, or TLS ([`fault_of`]).
    pub(crate) async fn handshake(&self, stream: TcpStream, address: IpAddr) -> io::Result<TlsStream<TcpStream>> {
        let name = self.server_name.clone().unwrap_or_else(|| ServerName::IpAddress(address.into()));
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }
}

fn read_file(path: &Path, read: &mut Vec<Vec<u8>>) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > PEM_BYTES_MAX {
        return Err(format!("{} is larger than {PEM_BYTES_MAX} bytes", path.display()));
    }
    let bytes = fs::read(path).map_err(failed)?;
    read.push(bytes.clone());
    Ok(bytes)
}

fn read_chain(path: &Path, read: &mut Vec<Vec<u8>>) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_file(path, read)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| format!("{}: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{} has no certificate (PEM)", path.display()));
    }
    Ok(chain)
}

fn read_key(path: &Path, read: &mut Vec<Vec<u8>>) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read_file(path, read)?;
    // A key is kept in one place: its digest says as well whether the file has changed.
    if let Some(kept) = read.last_mut() {
        *kept = digest(&SHA256, &bytes).as_ref().to_vec();
    }
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| format!("{} has no private key (PEM): {error}", path.display()))
}

fn read_authorities(path: &Path, read: &mut Vec<Vec<u8>>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path, read)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn system_authorities() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(format!("it is not given, and the machine has no trusted authorities ({why})"));
    }
    Ok(roots)
}

/// Verifies who the server is: by an authority, or else by a pin.
#[derive(Debug)]
struct Verifier {
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

/// The error of a key that is not pinned.
#[derive(Debug, thiserror::Error)]
#[error("not pinned: {0}")]
struct NotPinned(String);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(by_authority) = &self.by_authority {
            return by_authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let found = digest(&SHA256, key.as_ref());
        if self.pins.iter().any(|pin| pin == found.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        let found: String = found.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        Err(CertificateError::Other(OtherError(Arc::new(NotPinned(found)))).into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What TLS says is wrong, if it was TLS that failed.
pub(crate) fn fault_of(error: &io::Error) -> Option<TlsFault> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(error) => certificate_fault(error),
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            TlsFault::OldVersion
        }
        rustls::Error::NoApplicationProtocol
        | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => TlsFault::OtherProtocol,
        rustls::Error::AlertReceived(alert) => TlsFault::RefusedUs(format!("{alert:?}")),
        rustls::Error::InvalidMessage(_) => TlsFault::NotTls,
        error => TlsFault::Other(error.to_string()),
    })
}

fn certificate_fault(error: &CertificateError) -> TlsFault {
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            TlsFault::Expired { expired_unix_s: not_after.as_secs(), now_unix_s: time.as_secs() }
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        // An authority of the same name that did not sign it is none.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::UnknownIssuer,
        CertificateError::NotValidForNameContext { expected, presented } => TlsFault::OtherName {
            expected: expected.to_str().into_owned(),
            presented: if presented.is_empty() { "no name".into() } else { presented.join(", ") },
        },
        CertificateError::Other(other) => match other.0.downcast_ref::<NotPinned>() {
            Some(NotPinned(found)) => TlsFault::NotPinned { found: found.clone() },
            None => TlsFault::Certificate(other.to_string()),
        },
        error => TlsFault::Certificate(error.to_string()),
    }
}

/// [`Error::Tls`] if TLS failed, else what the caller makes of it.
pub(crate) fn or_else(source: io::Error, address: SocketAddr, error: impl FnOnce(io::Error) -> Error) -> Error {
    match fault_of(&source) {
        Some(fault) => Error::Tls { address, fault },
        None => error(source),
    }
}
