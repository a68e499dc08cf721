//! How a command reaches one node.

use std::path::PathBuf;

use config::NodeApi;

use crate::cli::ShowArguments;
use crate::control::client::ask;
use crate::control::protocol::{Answer, Request};
use crate::failure::Failure;
use crate::nodes::ask_one;
use crate::show::control_path;
use crate::source::{choose_node, load_network};

/// How a node is asked.
pub(crate) enum Target {
    /// By its HTTP API.
    Api(NodeApi),
    /// By its control socket, on this machine.
    Socket(PathBuf),
}

impl Target {
    /// Asks it.
    pub(crate) fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        match self {
            Self::Api(api) => ask_one(api, request).map_err(|why| Failure::Runtime(format!("{}: {why}", api.node))),
            Self::Socket(path) => ask(path, request),
        }
    }

    /// The node that is meant, and its name if the command line says it: any other must refuse the order.
    pub(crate) fn find(show: &ShowArguments) -> Result<(Self, Option<String>), Failure> {
        let Some(file) = &show.config else { return Ok((Self::Socket(control_path(show)?), None)) };
        let network = load_network(file)?.value;
        let node = choose_node(&network, file, show.node.as_deref())?.node;
        let api = network.apis().into_iter().find(|api| api.node == node.name);
        let target = api.map_or(Self::Socket(node.control), Self::Api);
        Ok((target, Some(node.name)))
    }
}
