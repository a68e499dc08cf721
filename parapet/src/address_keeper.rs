//! The process that keeps the services' addresses on `lo`: how the daemon starts it, and its own beginning, in which it
//! gives up every right but the one it needs.

use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;

use anycast::addresses::{self, Keeper};
use caps::Capability;
use config::Config;

use crate::cli::KeepAddressesArguments;
use crate::failure::Failure;
use crate::privileges;

/// This binary, whatever has become of its file.
const OWN_BINARY: &str = "/proc/self/exe";

/// Puts the addresses of the node's services on `lo`, if it is to do that: before the edge binds its sockets, and while
/// the process has its privileges.
pub(crate) fn start(config: &Config) -> Result<Option<Keeper>, Failure> {
    let wanted = config.node.anycast.as_ref().is_some_and(|anycast| anycast.manage_addresses);
    let mut wanted: Vec<IpAddr> = if wanted {
        config.services.iter().flat_map(|service| service.addresses.iter().copied()).collect()
    } else {
        Vec::new()
    };
    wanted.sort_unstable();
    wanted.dedup();
    let state_dir = &config.node.state_dir;
    // Without addresses too, if there may be some that an earlier run has left.
    if wanted.is_empty() && !addresses::are_left_over(state_dir) {
        return Ok(None);
    }
    let keeper = Keeper::start(command(state_dir, config.node.user.as_deref(), &wanted)).map_err(Failure::runtime)?;
    Ok((!wanted.is_empty()).then_some(keeper))
}

fn command(state_dir: &Path, user: Option<&str>, wanted: &[IpAddr]) -> Command {
    let mut command = Command::new(OWN_BINARY);
    command.env_clear().arg("keep-addresses").arg("--state").arg(state_dir);
    if let Some(user) = user {
        command.args(["--user", user]);
    }
    command.args(wanted.iter().map(IpAddr::to_string));
    command
}

/// The life of the process. What goes wrong it says to the daemon, which logs it.
pub(crate) fn keep(arguments: &KeepAddressesArguments) -> Result<(), Failure> {
    let user = privileges::find_user(arguments.user.as_deref())?;
    privileges::keep_only(Capability::CAP_NET_ADMIN, user.as_ref())?;
    let daemon = std::io::stdin().as_fd().try_clone_to_owned().map_err(Failure::runtime)?;
    addresses::keep(&arguments.state, &arguments.addresses, daemon).map_err(Failure::runtime)
}
