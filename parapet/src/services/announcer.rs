//! What is asked and ordered of the announcing of routes, and when an order is refused.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;

use anycast::Status;
use anycast::bgp::ReceivedRoute;

use super::ServicesView;
use crate::control::protocol::{Drain, Drained, Routes, Undrain, Undrained};

/// An order that is being carried out.
pub(crate) type Ordered<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Routes that are being looked up.
pub(crate) type Looked<'a> = Pin<Box<dyn Future<Output = Option<Vec<ReceivedRoute>>> + Send + 'a>>;

/// What announces; tests put another in its place.
pub(crate) trait Announcer: fmt::Debug + Send + Sync + 'static {
    /// How it goes.
    fn status(&self) -> Status;
    /// Withdraws all routes, also over restarts.
    fn drain<'a>(&'a self, reason: &'a str) -> Ordered<'a, ()>;
    /// Ends that; false if there was nothing to end.
    fn undrain(&self) -> Ordered<'_, bool>;
    /// What a neighbour sent, as far as it is kept; `None` if there is no such neighbour.
    fn routes<'a>(&'a self, neighbour: &'a str) -> Looked<'a>;
}

impl Announcer for anycast::Handle {
    fn status(&self) -> Status {
        Self::status(self)
    }

    fn drain<'a>(&'a self, reason: &'a str) -> Ordered<'a, ()> {
        Box::pin(async move { Self::drain(self, reason).await.map_err(|why| why.to_string()) })
    }

    fn undrain(&self) -> Ordered<'_, bool> {
        Box::pin(async move { Self::undrain(self).await.map_err(|why| why.to_string()) })
    }

    fn routes<'a>(&'a self, neighbour: &'a str) -> Looked<'a> {
        Box::pin(Self::routes(self, neighbour))
    }
}

const NOTHING_ANNOUNCED: &str =
    "this node announces nothing: it has no [node.NAME.anycast], or it was added and waits for a restart";

impl ServicesView {
    /// How the announcing goes; `None` where nothing is announced.
    pub(crate) fn anycast(&self) -> Option<Status> {
        Some(self.announcer.as_ref()?.status())
    }

    /// What a neighbour sent.
    pub(crate) async fn routes(&self, routes: &Routes) -> Result<Vec<ReceivedRoute>, String> {
        let announcer = self.announcer.as_ref().ok_or(NOTHING_ANNOUNCED)?;
        announcer.routes(&routes.neighbour).await.ok_or_else(|| {
            let status = announcer.status();
            let known: Vec<_> = status.neighbours.iter().map(|neighbour| neighbour.name.as_str()).collect();
            format!("there is no neighbour {:?}; this node has {}", routes.neighbour, known.join(", "))
        })
    }

    /// Drains `node`, which is this one, unless nobody would be left.
    pub(crate) async fn drain(&self, drain: &Drain, node: &str) -> Result<Drained, String> {
        check_node(drain.node.as_deref(), node)?;
        let announcer = self.announcer.as_ref().ok_or(NOTHING_ANNOUNCED)?;
        let status = announcer.status();
        if !drain.last {
            check_others(&status)?;
        }
        announcer.drain(&drain.reason).await?;
        Ok(Drained { node: node.to_owned(), already: status.by_hand.is_some() })
    }

    /// Ends that.
    pub(crate) async fn undrain(&self, undrain: &Undrain, node: &str) -> Result<Undrained, String> {
        check_node(undrain.node.as_deref(), node)?;
        let announcer = self.announcer.as_ref().ok_or(NOTHING_ANNOUNCED)?;
        let was_drained = announcer.undrain().await?;
        Ok(Undrained { node: node.to_owned(), was_drained })
    }
}

/// A control socket of the same path is on many machines.
fn check_node(meant: Option<&str>, node: &str) -> Result<(), String> {
    match meant {
        Some(meant) if meant != node => Err(format!(
            "this is the node {node}, not {meant}: give {meant} a [node.{meant}.api], or ask on its machine"
        )),
        _ => Ok(()),
    }
}

/// Nobody should have to think of the other nodes to drain one: what no other announces, this one goes on announcing.
fn check_others(status: &Status) -> Result<(), String> {
    // Without a fleet nobody knows of the others, and whoever has one node alone knows it.
    if status.fleet.is_empty() {
        return Ok(());
    }
    let others: BTreeSet<&str> = status.fleet.iter().flat_map(|node| &node.announces).map(String::as_str).collect();
    let own = status.services.iter().filter(|service| service.announced);
    let alone: Vec<_> = own.map(|service| service.name.as_str()).filter(|name| !others.contains(name)).collect();
    if alone.is_empty() {
        return Ok(());
    }
    Err(format!(
        "no other node that is heard announces {} now: clients would reach nobody; undrain another first, or say --last",
        alone.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use anycast::{MemberStatus, ServiceStatus};

    use super::*;

    /// A node that announces `own`, beside one that announces `other`.
    fn status(own: &[&str], other: Option<&[&str]>) -> Status {
        let service = |name: &&str| ServiceStatus {
            name: (*name).to_owned(),
            prefixes: Vec::new(),
            announced: true,
            route: None,
            quota: None,
        };
        let member = |announces: &[&str]| MemberStatus {
            node: "fra-1".to_owned(),
            state: "up".to_owned(),
            why: String::new(),
            announces: announces.iter().map(ToString::to_string).collect(),
            heard_s_ago: Some(0.1),
        };
        Status {
            state: "up".to_owned(),
            why: Vec::new(),
            since_unix_s: 0.0,
            by_hand: None,
            checks: Vec::new(),
            services: own.iter().map(service).collect(),
            neighbours: Vec::new(),
            addresses: Vec::new(),
            fleet: other.into_iter().map(member).collect(),
            transitions: 0,
        }
    }

    #[test]
    fn the_last_node_is_not_drained_by_accident() {
        let check = |own: &[&str], other: Option<&[&str]>, want: Option<&str>| {
            let got = check_others(&status(own, other)).err();
            assert_eq!(got.is_some(), want.is_some(), "{got:?}");
            assert!(want.is_none_or(|want| got.as_ref().unwrap().contains(want)), "{got:?}");
        };
        check(&["dns"], Some(&["dns"]), None);
        check(&["dns", "web"], Some(&["dns"]), Some("announces web now"));
        check(&["dns"], Some(&[]), Some("announces dns now"));
        check(&[], Some(&[]), None);
        check(&["dns"], None, None);
    }

    #[test]
    fn an_order_for_another_node_is_refused() {
        assert!(check_node(Some("ams-1"), "ams-1").is_ok() && check_node(None, "ams-1").is_ok());
        assert!(check_node(Some("fra-1"), "ams-1").unwrap_err().starts_with("this is the node ams-1, not fra-1"));
    }
}
