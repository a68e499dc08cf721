//! The API's paths, and what stands before them: the token, and the size of what is said.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::defences;
use super::failures::{Counted, Failures, Standing};
use super::token::Token;
use crate::control::protocol::{Answer, Drain, Fill, Purge, Reload, Request, Routes, Undrain};
use crate::control::server::Answers;
use crate::control::{PATIENCE, REQUEST_BYTES_MAX};
use crate::http::Peer;

/// What every handler has.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) answers: Arc<dyn Answers>,
    pub(super) token: Arc<ArcSwap<Token>>,
    pub(super) failures: Arc<Failures>,
}

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/purge", post(purge))
        .route("/v1/fill", post(fill))
        .route("/v1/zones", get(zones))
        .route("/v1/status", get(status))
        .route("/v1/anycast", get(anycast))
        .route("/v1/anycast/routes/{neighbour}", get(routes))
        .route("/v1/drain", post(drain))
        .route("/v1/undrain", post(undrain))
        .route("/v1/reload", post(reload))
        .merge(defences::router())
        .fallback(async || {
            let paths = "purge, fill, zones, status, anycast, anycast/routes/NEIGHBOUR, drain, undrain, reload, \
                         defences, defences/top, defences/sources/ADDRESS, defences/known-good";
            say(StatusCode::NOT_FOUND, format!("no such path; below /v1/ are {paths}"))
        })
        .method_not_allowed_fallback(async || {
            say(
                StatusCode::METHOD_NOT_ALLOWED,
                "POST purge, fill, drain, undrain, reload and what changes defences, GET the others",
            )
        })
        // Outermost: who has no token learns nothing, not even which paths there are.
        .layer(from_fn_with_state(shared.clone(), authenticate))
        .with_state(shared)
}

async fn purge(State(shared): State<Shared>, body: Body) -> Response {
    match read::<Purge>(body).await {
        Ok(purge) => answer(&shared, Request::Purge(purge)).await,
        Err(refusal) => refusal,
    }
}

async fn fill(State(shared): State<Shared>, body: Body) -> Response {
    match read::<Fill>(body).await {
        Ok(fill) => answer(&shared, Request::Fill(fill)).await,
        Err(refusal) => refusal,
    }
}

async fn zones(State(shared): State<Shared>) -> Response {
    answer(&shared, Request::Zones).await
}

async fn status(State(shared): State<Shared>) -> Response {
    answer(&shared, Request::Status).await
}

async fn anycast(State(shared): State<Shared>) -> Response {
    answer(&shared, Request::Anycast).await
}

async fn routes(State(shared): State<Shared>, Path(neighbour): Path<String>) -> Response {
    answer(&shared, Request::Routes(Routes { neighbour })).await
}

async fn drain(State(shared): State<Shared>, body: Body) -> Response {
    match read::<Drain>(body).await {
        Ok(drain) => answer(&shared, Request::Drain(drain)).await,
        Err(refusal) => refusal,
    }
}

async fn reload(State(shared): State<Shared>, body: Body) -> Response {
    match read::<Reload>(body).await {
        Ok(reload) => answer(&shared, Request::Reload(reload)).await,
        Err(refusal) => refusal,
    }
}

async fn undrain(State(shared): State<Shared>, body: Body) -> Response {
    match read::<Undrain>(body).await {
        Ok(undrain) => answer(&shared, Request::Undrain(undrain)).await,
        Err(refusal) => refusal,
    }
}

pub(super) async fn answer(shared: &Shared, request: Request) -> Response {
    let answer = shared.answers.answer(request).await;
    let status = if matches!(answer, Answer::Error(_)) { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    json(status, &answer)
}

/// Lets through who shows the token.
async fn authenticate(
    State(shared): State<Shared>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: HttpRequest,
    next: Next,
) -> Response {
    let now = Instant::now();
    if let Standing::Shut(left) = shared.failures.standing(peer.ip(), now) {
        let seconds = left.as_secs() + 1;
        let why = format!("too many wrong tokens from this address: wait {seconds} s");
        let mut refusal = say(StatusCode::TOO_MANY_REQUESTS, why);
        refusal.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return refusal;
    }
    if shown_token(request.headers()).is_some_and(|shown| shared.token.load().is(shown)) {
        return next.run(request).await;
    }
    match shared.failures.count(peer.ip(), now) {
        Counted::ShutOut => {
            tracing::warn!(%peer, "too many requests to the API without its token; shut out for a while")
        }
        Counted::Failed => tracing::warn!(%peer, path = request.uri().path(), "a request to the API without its token"),
    }
    let mut refusal = say(StatusCode::UNAUTHORIZED, "unauthorized");
    refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
fn shown_token(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Reads a body of bounded size, in bounded time.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Response> {
    let bytes_max = usize::try_from(REQUEST_BYTES_MAX).unwrap_or(usize::MAX);
    let bytes: Bytes = match timeout(PATIENCE, to_bytes(body, bytes_max)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return Err(say(StatusCode::PAYLOAD_TOO_LARGE, format!("a request has at most {bytes_max} bytes")));
        }
        Err(_) => return Err(say(StatusCode::REQUEST_TIMEOUT, "the request did not come in time")),
    };
    serde_json::from_slice(&bytes).map_err(|why| say(StatusCode::BAD_REQUEST, format!("not a request: {why}")))
}

pub(super) fn say(status: StatusCode, why: impl ToString) -> Response {
    json(status, &Answer::Error(why.to_string()))
}

fn json(status: StatusCode, answer: &Answer) -> Response {
    match serde_json::to_vec(answer) {
        Ok(mut text) => {
            text.push(b'\n');
            (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(why) => {
            tracing::error!(%why, "cannot write an answer of the API");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
