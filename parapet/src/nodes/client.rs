//! The client of one node's API.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use config::NodeApi;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

use super::NodeError;
use crate::api::read_token_file;
use crate::control::ANSWER_BYTES_MAX;
use crate::control::protocol::{Answer, Request};
use crate::http::{client_roots, provider};

/// How long a node may take to be reached.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Asks a node by its API.
pub(super) fn ask(api: &NodeApi, request: &Request) -> Result<Answer, NodeError> {
    let token = read_token_file(&api.token_file).map_err(NodeError::Secret)?;
    let agent = agent(api, request)?;
    let bearer = format!("Bearer {token}");
    let url = |path: &str| format!("{}/v1/{path}", api.url);
    let get = |path: &str| agent.get(url(path)).header("authorization", &bearer).call();
    let post = |path: &str, body: serde_json::Result<Vec<u8>>| {
        let body = body.map_err(|why| NodeError::Broken(why.to_string()))?;
        let call = agent.post(url(path)).header("authorization", &bearer).header("content-type", "application/json");
        Ok(call.send(&body[..]))
    };
    let response = match request {
        Request::Status => get("status"),
        Request::Zones => get("zones"),
        Request::Purge(purge) => post("purge", serde_json::to_vec(purge))?,
        Request::Fill(fill) => post("fill", serde_json::to_vec(fill))?,
        Request::Anycast => get("anycast"),
        // Names of neighbours have nothing that a path must escape.
        Request::Routes(routes) => get(&format!("anycast/routes/{}", routes.neighbour)),
        Request::Drain(drain) => post("drain", serde_json::to_vec(drain))?,
        Request::Reload(reload) => post("reload", serde_json::to_vec(reload))?,
        Request::Undrain(undrain) => post("undrain", serde_json::to_vec(undrain))?,
        Request::Defences => get("defences"),
        Request::DefenceOrder(order) => post("defences", serde_json::to_vec(order))?,
        Request::Top(ask) => get(&format!("defences/top/{}", ask.rows)),
        Request::ExplainSource(explain) => get(&format!("defences/sources/{}", explain.source)),
        Request::KnownGood => get("defences/known-good"),
        Request::ImportKnownGood(import) => post("defences/known-good", serde_json::to_vec(import))?,
    };
    let response = response.map_err(|why| unreachable(api, &why))?;
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Err(NodeError::Unauthorized { token_file: api.token_file.display().to_string() });
    }
    match read(api, response.into_body())? {
        Answer::Error(why) => Err(NodeError::Refused(why)),
        answer if status.is_success() => Ok(answer),
        _ => Err(NodeError::Broken(format!("HTTP status {status}"))),
    }
}

fn agent(api: &NodeApi, request: &Request) -> Result<Agent, NodeError> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("parapet/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_global(Some(request.patience()));
    if api.url.starts_with("https://") {
        let roots = client_roots(api.ca_file.as_deref()).map_err(NodeError::Secret)?;
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider())
            .root_certs(RootCerts::Specific(Arc::new(roots)));
        config = config.tls_config(tls.build());
    }
    Ok(config.build().new_agent())
}

fn read(api: &NodeApi, body: Body) -> Result<Answer, NodeError> {
    let mut text = Vec::new();
    let read = body.into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut text);
    read.map_err(|why| NodeError::Unreachable { url: api.url.clone(), why: why.to_string() })?;
    serde_json::from_slice(&text).map_err(|why| NodeError::Broken(why.to_string()))
}

fn unreachable(api: &NodeApi, why: &Error) -> NodeError {
    let why = match why {
        Error::ConnectionFailed => "no connection".to_owned(),
        Error::Timeout(_) => "nothing came in time".to_owned(),
        Error::HostNotFound => "its name is not known".to_owned(),
        other => other.to_string(),
    };
    NodeError::Unreachable { url: api.url.clone(), why }
}
