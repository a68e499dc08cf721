//! The HTTP API of a node: the control socket's requests for other machines, behind a token.
//!
//! ```text
//! POST /v1/purge  {"name":"www.example.com","subtree":true}
//! POST /v1/fill   {"zone":"example.com"}
//! POST /v1/drain  {"reason":"kernel update"}
//! POST /v1/undrain {}
//! POST /v1/reload {"now":true}
//! GET  /v1/zones
//! GET  /v1/status
//! GET  /v1/anycast
//! GET  /v1/anycast/routes/NEIGHBOUR
//! GET  /v1/defences
//! POST /v1/defences {"order":"put","prefix":"192.0.2.0/24","list":"block"}
//! GET  /v1/defences/top/ROWS
//! GET  /v1/defences/sources/ADDRESS
//! GET  /v1/defences/known-good
//! POST /v1/defences/known-good {"sources":["192.0.2.1"]}
//! ```
//!
//! Each with `Authorization: Bearer TOKEN`; answers are those of the control socket.

mod defences;
mod failures;
mod routes;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;

use self::failures::Failures;
use self::token::Token;
pub(crate) use self::token::read_token_file;
use crate::control::WORK_MAX;
use crate::control::server::Answers;
use crate::failure::Failure;
use crate::http::{BoundSocket, BoundedListener, Bounds, Peer, TlsFiles};

/// What clients can take. A connection must outlast the work for its answer.
const BOUNDS: Bounds = Bounds {
    connections_max: 32,
    connections_per_client_max: 8,
    connection_max: Duration::from_secs(2 * WORK_MAX.as_secs()),
};

/// The API, bound and with its secrets read, while the process had its privileges.
pub(crate) struct Api {
    socket: BoundSocket,
    tls: Option<TlsAcceptor>,
    token: TokenHolder,
}

/// The token in force, and where the next one comes from.
#[derive(Clone)]
pub(crate) struct TokenHolder {
    file: PathBuf,
    token: Arc<ArcSwap<Token>>,
}

impl Api {
    /// Binds, and reads the token and the certificate.
    pub(crate) fn open(config: &config::Api) -> Result<Self, Failure> {
        let token =
            Token::read(&config.token_file).map_err(|why| Failure::Configuration(format!("the API's token: {why}")))?;
        let tls = config.tls.as_ref().map(|tls| {
            let files = TlsFiles { certificate: &tls.certificate, key_file: &tls.key_file };
            files.acceptor().map_err(|why| Failure::Configuration(format!("the API's certificate: {why}")))
        });
        let tls = tls.transpose()?;
        if tls.is_none() && !config.listen.ip().is_loopback() {
            tracing::warn!(listen = %config.listen, "the API speaks no TLS: whoever sees the network sees its token");
        }
        let token = TokenHolder { file: config.token_file.clone(), token: Arc::new(ArcSwap::from_pointee(token)) };
        Ok(Self { socket: BoundSocket::bind(config.listen, "the API", "api.listen")?, tls, token })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.address
    }

    pub(crate) fn token(&self) -> TokenHolder {
        self.token.clone()
    }

    /// Serves until the task is dropped.
    pub(crate) async fn serve(self, answers: Arc<dyn Answers>) -> std::io::Result<()> {
        let router = routes::router(routes::Shared {
            answers,
            token: Arc::clone(&self.token.token),
            failures: Arc::new(Failures::default()),
        });
        let listener = BoundedListener::new(self.socket.listener, BOUNDS, self.tls)?;
        axum::serve(listener, router.into_make_service_with_connect_info::<Peer>()).await
    }
}

impl TokenHolder {
    /// Reads the file again, so that a token can be changed without a restart; one that cannot be read changes nothing.
    pub(crate) fn read_again(&self) {
        match Token::read(&self.file) {
            Ok(token) if token != **self.token.load() => {
                self.token.store(Arc::new(token));
                tracing::info!("the API has a new token");
            }
            Ok(_) => {}
            Err(why) => tracing::error!("the API's token stays as it was: {why}"),
        }
    }
}
