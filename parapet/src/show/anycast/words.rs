//! The announcing in a few words.

use anycast::{BfdStatus, NeighbourStatus, Status};
use origin_sync::{Severity, duration_words};

/// A session over which routes go.
pub(super) const ESTABLISHED: &str = "established";

/// How it goes, in one line.
pub(crate) fn summary(status: &Status) -> String {
    let announced: Vec<_> = announced(status).collect();
    let announces =
        if announced.is_empty() { "nothing announced".to_owned() } else { announced.join(", ") + " announced" };
    let (established, neighbours) = (established(status), status.neighbours.len());
    let why = status.why.first().map_or(String::new(), |why| format!(": {why}"));
    format!("{}, {announces}, {established} of {neighbours} sessions established{why}", status.state)
}

/// The services that are announced now.
pub(super) fn announced(status: &Status) -> impl Iterator<Item = &str> {
    status.services.iter().filter(|service| service.announced).map(|service| service.name.as_str())
}

/// Sessions that are established.
pub(super) fn established(status: &Status) -> usize {
    status.neighbours.iter().filter(|neighbour| neighbour.state == ESTABLISHED).count()
}

/// How bad a state is.
pub(super) fn severity_of(state: &str) -> Option<Severity> {
    match state {
        "up" => None,
        "degraded" | "draining" => Some(Severity::Warning),
        _ => Some(Severity::Critical),
    }
}

/// How long ago a time was.
pub(super) fn since(unix_s: f64, now_unix_s: f64) -> String {
    duration_words(now_unix_s - unix_s)
}

pub(super) fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// A list, or a stroke where it is empty.
pub(super) fn list(items: &[String]) -> String {
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

/// A BFD session in a few words.
pub(super) fn bfd(neighbour: &NeighbourStatus) -> String {
    match &neighbour.bfd {
        None => "-".to_owned(),
        Some(BfdStatus { state, detection_ms, .. }) if state == "up" => format!("up, {detection_ms:.0} ms"),
        Some(BfdStatus { state, .. }) => state.clone(),
    }
}

/// What protects a session.
pub(super) fn protection(neighbour: &NeighbourStatus) -> String {
    match (neighbour.md5, neighbour.ttl_security) {
        (true, true) => "MD5, TTL",
        (true, false) => "MD5",
        (false, true) => "TTL",
        (false, false) => "-",
    }
    .to_owned()
}
