//! The API's paths of defences.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::routes::{Shared, answer, read, say};
use crate::control::defences::{AskTop, ExplainSource, ImportKnownGood, TOP_ROWS};
use crate::control::protocol::Request;
use crate::services::defences::orders::Order;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/v1/defences", get(defences).post(order))
        .route("/v1/defences/top", get(async |State(shared): State<Shared>| top(&shared, TOP_ROWS).await))
        .route("/v1/defences/top/{rows}", get(top_rows))
        .route("/v1/defences/sources/{source}", get(explain))
        .route("/v1/defences/known-good", get(known_good).post(import))
}

async fn defences(State(shared): State<Shared>) -> Response {
    answer(&shared, Request::Defences).await
}

async fn order(State(shared): State<Shared>, body: Body) -> Response {
    match read::<Order>(body).await {
        Ok(order) => answer(&shared, Request::DefenceOrder(order)).await,
        Err(refusal) => refusal,
    }
}

async fn top_rows(State(shared): State<Shared>, Path(rows): Path<String>) -> Response {
    match rows.parse() {
        Ok(rows) => top(&shared, rows).await,
        Err(_) => say(StatusCode::UNPROCESSABLE_ENTITY, format!("{rows:?} is no number of rows")),
    }
}

async fn top(shared: &Shared, rows: u32) -> Response {
    answer(shared, Request::Top(AskTop { rows })).await
}

async fn explain(State(shared): State<Shared>, Path(source): Path<String>) -> Response {
    match source.parse() {
        Ok(source) => answer(&shared, Request::ExplainSource(ExplainSource { source })).await,
        Err(_) => say(StatusCode::UNPROCESSABLE_ENTITY, format!("{source:?} is no address")),
    }
}

async fn known_good(State(shared): State<Shared>) -> Response {
    answer(&shared, Request::KnownGood).await
}

async fn import(State(shared): State<Shared>, body: Body) -> Response {
    match read::<ImportKnownGood>(body).await {
        Ok(import) => answer(&shared, Request::ImportKnownGood(import)).await,
        Err(refusal) => refusal,
    }
}
