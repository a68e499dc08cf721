//! The kernel lane in the daemon's own terms: opened while there are privileges, and told of in the log.

use std::net::SocketAddr;
use std::sync::Arc;

use cache::Cache;
use config::{Config, Defences, KernelMode};
use edge::kernel::{KernelLane, LaneStatus, Wanted};
use filters::Filters;
use zones::Zones;

use crate::failure::Failure;

/// Loads and attaches it, as far as the node wants it and it is to be had.
pub(super) fn open(
    config: &Config,
    listen: &[SocketAddr],
    owner: Option<(u32, u32)>,
) -> Result<(Option<KernelLane>, LaneStatus), Failure> {
    let node = &config.node;
    let wanted = Wanted { lanes: &node.lanes, listen, node: &node.name, state_dir: &node.state_dir, owner };
    let (lane, status) = edge::kernel::open(&wanted).map_err(Failure::runtime)?;
    tell(&status);
    Ok((lane, status))
}

/// The filters of the node: their tables are the program's too, if there is one.
pub(super) fn filters(
    lane: Option<&mut KernelLane>,
    defences: &Defences,
    seed: [u64; 2],
) -> Result<Arc<Filters>, Failure> {
    let own = || Ok(Arc::new(Filters::new(defences, seed)));
    lane.map_or_else(own, |lane| lane.filters(defences, seed)).map_err(Failure::runtime)
}

/// The node's zones, none as yet: the program is told of what becomes of them, if there is one.
pub(super) fn zones(lane: Option<&KernelLane>) -> Result<Zones, Failure> {
    lane.map_or_else(|| Ok(Zones::new()), KernelLane::zones).map_err(Failure::runtime)
}

/// The cache of answers of origins: the program knows of what names there are any, if there is one.
pub(super) fn cache(lane: Option<&KernelLane>, bytes_max: u64) -> Cache {
    lane.map_or_else(|| Cache::new(bytes_max), |lane| lane.cache(bytes_max))
}

fn tell(status: &LaneStatus) {
    if status.wanted == KernelMode::Off {
        return;
    }
    if let Some(problem) = &status.problem {
        match status.wanted {
            KernelMode::Auto => tracing::info!("no kernel lane, the sockets answer: {problem}"),
            _ => tracing::warn!("{problem}"),
        }
    }
    for interface in &status.interfaces {
        let (name, why) = (&interface.name, interface.why.as_deref());
        match interface.mode {
            Some(mode) => tracing::info!(
                interface = name,
                mode = mode.as_str(),
                taken_over = interface.taken_over,
                why,
                "the kernel lane is attached"
            ),
            None => tracing::warn!(interface = name, why, "the kernel lane is not attached: the sockets answer"),
        }
    }
}
