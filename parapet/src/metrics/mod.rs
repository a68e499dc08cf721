//! Prometheus metrics over HTTP: `/metrics`, and `/health` for load balancers and people.

mod anycast;
mod catalogs;
mod classic;
mod defences;
mod edge;
mod kernel_lane;
mod node;
mod on_demand;
mod peers;
mod transfers;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;

use crate::http::{BoundSocket, BoundedListener, Bounds};
use crate::node_view::NodeView;
use crate::show::anycast::summary;

/// What OpenMetrics calls itself.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the format before it.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What scrapers can take.
const BOUNDS: Bounds =
    Bounds { connections_max: 32, connections_per_client_max: 16, connection_max: Duration::from_secs(60) };
/// In front of each metric's name.
const PREFIX: &str = "parapet";

#[derive(Clone)]
struct Sources {
    view: Arc<NodeView>,
    registry: Arc<Registry>,
}

/// Serves until the task is dropped.
pub(crate) async fn serve(socket: BoundSocket, view: Arc<NodeView>) -> std::io::Result<()> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(node::NodeCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(edge::EdgeCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(kernel_lane::KernelLaneCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(defences::DefencesCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(transfers::TransferCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(peers::PeerCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(zones::ZonesCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(catalogs::CatalogCollector(Arc::clone(&view))));
    registry.register_collector(Box::new(anycast::AnycastCollector(Arc::clone(&view))));
    let sources = Sources { view, registry: Arc::new(registry) };
    let router = Router::new().route("/metrics", get(metrics)).route("/health", get(health)).with_state(sources);
    axum::serve(BoundedListener::new(socket.listener, BOUNDS, None)?, router).await
}

async fn metrics(State(sources): State<Sources>, headers: HeaderMap) -> impl IntoResponse {
    let mut text = String::new();
    let openmetrics = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("application/openmetrics-text")));
    match prometheus_client::encoding::text::encode(&mut text, &sources.registry) {
        Ok(()) if !openmetrics => (StatusCode::OK, [(header::CONTENT_TYPE, CLASSIC)], classic::from_openmetrics(&text)),
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text),
        Err(why) => {
            let text = format!("cannot write the metrics: {why}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
        }
    }
}

/// 200 while clients should be sent here, 503 while they shouldn't; then a line for the announcing, and one for each zone
/// that has problems.
async fn health(State(sources): State<Sources>) -> impl IntoResponse {
    let anycast = sources.view.services.anycast();
    let drained = anycast.as_ref().is_some_and(|status| status.by_hand.is_some());
    let own = sources.view.state();
    let state = if drained { own.max(health::State::Draining) } else { own };
    let code = match state {
        health::State::Up | health::State::Degraded => StatusCode::OK,
        health::State::Draining | health::State::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut text = format!("{state}\n");
    if let Some(status) = &anycast {
        text.push_str(&format!("anycast: {}\n", summary(status)));
    }
    for why in &sources.view.services.zones_seen().problems {
        text.push_str(why);
        text.push('\n');
    }
    (code, text)
}
