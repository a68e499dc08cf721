//! Asking all nodes of a network at once, each by its HTTP API.

mod client;

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use config::{Network, NodeApi};

use crate::control::protocol::{Answer, Request};

/// Nodes that are asked at one time.
const NODES_AT_ONCE_MAX: usize = 64;

/// Why a node did not acknowledge a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeError {
    /// It has no API in the file.
    NoApi,
    /// What is needed to ask it cannot be read here: token or certificates.
    Secret(String),
    /// It was not reached, or said nothing in time.
    Unreachable { url: String, why: String },
    /// It does not take the token.
    Unauthorized { token_file: String },
    /// It answered that it could not.
    Refused(String),
    /// It answered something else altogether.
    Broken(String),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoApi => f.write_str("it has no [node.NAME.api] in the file, so it cannot be asked from here"),
            Self::Secret(why) => f.write_str(why),
            Self::Unreachable { url, why } => write!(f, "no answer from {url}: {why}"),
            Self::Unauthorized { token_file } => write!(f, "it does not take the token in {token_file}"),
            Self::Refused(why) => f.write_str(why),
            Self::Broken(why) => write!(f, "it gave no good answer ({why}): it may be of another version"),
        }
    }
}

/// What came of asking a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeAnswer {
    /// The node's name in the file.
    pub(crate) node: String,
    /// Never [`Answer::Error`]; that is [`NodeError::Refused`].
    pub(crate) outcome: Result<Answer, NodeError>,
}

/// Asks every node of the network, all at one time; answers in the order of their names. It takes as long as the slowest
/// node, and at most the request's patience for every [`NODES_AT_ONCE_MAX`] of them.
pub(crate) fn ask_all(network: &Network, request: &Request) -> Vec<NodeAnswer> {
    let apis = network.apis();
    let asked: Vec<(&str, Option<&NodeApi>)> =
        network.nodes.keys().map(|node| (node.as_str(), apis.iter().find(|api| api.node == *node))).collect();
    let answers: Mutex<Vec<(usize, NodeAnswer)>> = Mutex::default();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..asked.len().min(NODES_AT_ONCE_MAX) {
            scope.spawn(|| {
                while let Some((index, (node, api))) = take(&next, &asked) {
                    let outcome = api.ok_or(NodeError::NoApi).and_then(|api| client::ask(api, request));
                    let answer = NodeAnswer { node: (*node).to_owned(), outcome };
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push((index, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Asks one node that has an API.
pub(crate) fn ask_one(api: &NodeApi, request: &Request) -> Result<Answer, NodeError> {
    client::ask(api, request)
}

/// The next that nobody has taken.
fn take<'l, T>(next: &AtomicUsize, list: &'l [T]) -> Option<(usize, &'l T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, list.get(index)?))
}
