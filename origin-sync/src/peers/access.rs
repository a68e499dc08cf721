//! Who may have zones: the nodes that name this one as their upstream, from their addresses and with the nodes' key.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::tsig::Key;

/// Transfers out at one time. Each holds one version of a zone.
pub(crate) const TRANSFERS_MAX: usize = 128;
/// Of them to one node.
pub(crate) const TRANSFERS_PER_NODE_MAX: usize = 16;

/// What the configuration says of it.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// Our own node's name.
    pub(crate) node: Arc<str>,
    /// The key that nodes share.
    pub(crate) key: Option<Key>,
    /// The nodes that take their zones from here, and where they take NOTIFY.
    pub(crate) downstream: Vec<(Arc<str>, Vec<SocketAddr>)>,
    by_address: HashMap<IpAddr, Arc<str>>,
}

impl Access {
    /// # Errors
    /// [`Error::Configuration`] for a key that is not there; a configuration that came through `config`'s checks has none.
    pub(crate) fn new(config: &config::Config) -> Result<Access, Error> {
        let wrong =
            |name: &str| Error::Configuration { item: "node_key".into(), why: format!("there is no key {name}") };
        let key = config.node_key.as_ref().map(|name| config.keys.get(name).ok_or_else(|| wrong(name))).transpose()?;
        let node = |downstream: &config::Downstream| (downstream.node.as_str().into(), downstream.addresses.clone());
        let downstream: Vec<(Arc<str>, Vec<SocketAddr>)> = config.downstream.iter().map(node).collect();
        let by_address = downstream.iter().flat_map(|(node, addresses)| {
            addresses.iter().map(move |address| (address.ip().to_canonical(), Arc::clone(node)))
        });
        let by_address = by_address.collect();
        Ok(Access {
            node: config.node.name.as_str().into(),
            key: key.map(Key::new).transpose()?,
            downstream,
            by_address,
        })
    }

    /// The node that has an address.
    pub(crate) fn node_at(&self, address: IpAddr) -> Option<&Arc<str>> {
        self.by_address.get(&address.to_canonical())
    }
}

/// The transfers that run now.
#[derive(Debug, Default)]
pub(crate) struct Transfers(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    all: usize,
    /// Bounded by `all`: a node without a transfer has no entry.
    nodes: HashMap<Arc<str>, usize>,
}

/// The right to one transfer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    transfers: Arc<Transfers>,
    node: Arc<str>,
}

impl Transfers {
    /// Lets a node begin a transfer; `None` when too many run.
    pub(crate) fn admit(self: &Arc<Self>, node: &Arc<str>) -> Option<Permit> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = running.nodes.get(node).copied().unwrap_or(0);
        if running.all >= TRANSFERS_MAX || here >= TRANSFERS_PER_NODE_MAX {
            return None;
        }
        running.all += 1;
        running.nodes.insert(Arc::clone(node), here + 1);
        Some(Permit { transfers: Arc::clone(self), node: Arc::clone(node) })
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut running = self.transfers.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.all = running.all.saturating_sub(1);
        match running.nodes.get_mut(&self.node) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                running.nodes.remove(&self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_its_share_and_all_have_theirs() {
        let transfers = Arc::new(Transfers::default());
        let nodes: Vec<Arc<str>> = (0..20).map(|number| format!("node{number}").into()).collect();
        let first: Vec<Permit> = std::iter::from_fn(|| transfers.admit(&nodes[0])).collect();
        assert_eq!(first.len(), TRANSFERS_PER_NODE_MAX);
        let others: Vec<Permit> = nodes.iter().flat_map(|node| std::iter::from_fn(|| transfers.admit(node))).collect();
        assert_eq!(first.len() + others.len(), TRANSFERS_MAX);
        drop(first);
        assert_eq!(transfers.running(), TRANSFERS_MAX - TRANSFERS_PER_NODE_MAX);
        assert!(transfers.admit(&nodes[0]).is_some());
        drop(others);
        assert_eq!(transfers.running(), 0);
        assert!(transfers.0.lock().unwrap().nodes.is_empty());
    }
}
