//! `parapet drain` and `parapet undrain`: a node leaves anycast, and comes back, by hand. One node at a time: there is no
//! `--all`, and the last one that announces a service stays unless somebody insists.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anycast::Status;
use clap::Args;

use crate::cli::ShowArguments;
use crate::control::protocol::{Answer, Drain, Drained, Request, Undrain, Undrained};
use crate::failure::Failure;
use crate::show::{print, print_json};
use crate::target::Target;

/// How long `--wait` waits: longer than any configured grace.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Pause between two looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const DRAIN_EXAMPLES: &str = "\
Examples:
  This machine's node, before its maintenance:
    parapet drain --wait --reason 'kernel update' && systemctl stop parapet
  Another machine's, by its HTTP API (it needs a [node.NAME.api] in the file):
    parapet drain --wait --config /etc/parapet/network.toml --node ams-1

The routes are first announced with the community GRACEFUL_SHUTDOWN (for graceful_shutdown_ms), then
withdrawn. The node goes on answering. It stays drained over restarts, until `parapet undrain`.
Stopping the daemon (SIGTERM) drains it first, without any of this. Draining twice does no harm.
A node is not drained while no other that it hears announces the same, unless with --last.
Exit codes: 0 done, 1 it could not be done, 2 wrong configuration or usage.";

const UNDRAIN_EXAMPLES: &str = "\
Examples:
    parapet undrain --wait
    parapet undrain --config /etc/parapet/network.toml --node ams-1

The node is announced again once its health has been good `rise` times. Undraining twice does no harm.
Exit codes: 0 done, 1 it could not be done, 2 wrong configuration or usage.";

#[derive(Debug, Args)]
#[command(after_long_help = DRAIN_EXAMPLES)]
pub(crate) struct DrainArguments {
    /// Why, for those who look at the node meanwhile.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,

    /// Return only once all routes are withdrawn from all routers.
    #[arg(long)]
    wait: bool,

    /// Also if no other node announces what this one does: clients will reach nobody.
    #[arg(long)]
    last: bool,

    #[command(flatten)]
    show: ShowArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = UNDRAIN_EXAMPLES)]
pub(crate) struct UndrainArguments {
    /// Return only once the routes are announced.
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    show: ShowArguments,
}

pub(crate) fn drain(arguments: &DrainArguments) -> Result<(), Failure> {
    let (target, node) = Target::find(&arguments.show)?;
    let DrainArguments { reason, last, .. } = arguments;
    let request = Request::Drain(Drain { reason: reason.clone(), last: *last, node });
    let Answer::Drained(drained) = target.ask(&request)? else { return Err(other_version()) };
    if arguments.wait {
        target.wait("withdrawn", is_withdrawn)?;
    }
    if arguments.show.json {
        return print_json(&drained);
    }
    let Drained { node, already } = drained;
    let was = if already { ", as it was before" } else { "" };
    let routes = if arguments.wait { "all its routes are withdrawn" } else { "its routes are being withdrawn" };
    print(&format!("{node} is drained{was}: {routes}, until `parapet undrain`\n"))
}

pub(crate) fn undrain(arguments: &UndrainArguments) -> Result<(), Failure> {
    let (target, node) = Target::find(&arguments.show)?;
    let Answer::Undrained(undrained) = target.ask(&Request::Undrain(Undrain { node }))? else {
        return Err(other_version());
    };
    if arguments.wait {
        target.wait("announced", is_announced)?;
    }
    if arguments.show.json {
        return print_json(&undrained);
    }
    let Undrained { node, was_drained } = undrained;
    let what = match (was_drained, arguments.wait) {
        (_, true) => "is announced",
        (true, false) => "is announced again once its health allows; `parapet anycast` tells",
        (false, false) => "was not drained",
    };
    print(&format!("{node} {what}\n"))
}

impl Target {
    /// Waits until the node's part in anycast is as it should be.
    fn wait(&self, what: &str, is_done: fn(&Status) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let Answer::Anycast(Some(status)) = self.ask(&Request::Anycast)? else { return Err(other_version()) };
            if is_done(&status) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let why = if status.why.is_empty() { String::new() } else { format!(": {}", status.why.join("; ")) };
                return Err(Failure::Runtime(format!("the routes are still not {what}{why}")));
            }
            sleep(LOOK_EVERY);
        }
    }
}

/// No router has a route any more.
fn is_withdrawn(status: &Status) -> bool {
    status.services.iter().all(|service| !service.announced)
        && status.neighbours.iter().all(|neighbour| neighbour.prefixes_announced == 0)
}

/// Every router that there is a session with has the routes of every service.
fn is_announced(status: &Status) -> bool {
    let sessions = || status.neighbours.iter().filter(|neighbour| neighbour.state == "established");
    status.services.iter().all(|service| service.announced)
        && sessions().next().is_some()
        && sessions().all(|neighbour| neighbour.prefixes_announced > 0)
}

fn other_version() -> Failure {
    Failure::runtime("the daemon answered another question: it may be of another version")
}
