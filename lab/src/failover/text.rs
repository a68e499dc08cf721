//! The network file of a ground's edges.

use std::{fmt::Write as _, path::Path};

use super::{Ground, Seat, ZONE};

/// The port that nodes hear each other at.
const FLEET_PORT: u16 = 8179;

/// What can be set of how edges speak and decide.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// BFD's interval in both directions.
    pub bfd_interval_ms: u32,
    /// A silence of so many intervals is the end.
    pub bfd_multiplier: u8,
    /// How often health is looked at.
    pub check_interval_ms: u32,
    /// So many good looks in a row bring a node up.
    pub rise: u32,
    /// So many bad ones bring it down.
    pub fall: u32,
    /// A copy that no origin has confirmed for so long is too old.
    pub fresh_s_max: u32,
    /// The hold time of BGP.
    pub hold_time_s: u16,
    /// How long a node that keeps going down waits at most before it comes back.
    pub hold_down_s_max: u32,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            bfd_interval_ms: 50,
            bfd_multiplier: 3,
            check_interval_ms: 200,
            rise: 3,
            fall: 3,
            fresh_s_max: 2,
            hold_time_s: 9,
            hold_down_s_max: 1,
        }
    }
}

/// What the edges have in common; `announcing` is what is not there when another program announces for them.
pub(super) fn network_file(
    ground: &Ground,
    tuning: &Tuning,
    announcing: bool,
    state: impl Fn(&Seat) -> String,
) -> String {
    let mut text = common(ground, tuning);
    if announcing {
        let service = &ground.service;
        let _ = writeln!(
            text,
            "[anycast.dns]\nprefixes = [\"{}/{}\", \"{}/{}\"]\naddresses = [\"{}\", \"{}\"]",
            service.v4_prefix.0, service.v4_prefix.1, service.v6_prefix.0, service.v6_prefix.1, service.v4, service.v6,
        );
    }
    for seat in &ground.seats {
        let name = &seat.name;
        let _ = writeln!(
            text,
            "[node.{name}]\nlisten = [\"0.0.0.0:53\", \"[::]:53\"]\nstate_dir = \"{}\"\nidentity = {{ nsid = \"{name}\" }}",
            state(seat)
        );
        if announcing {
            announce(&mut text, seat, tuning);
        }
    }
    text
}

fn common(ground: &Ground, tuning: &Tuning) -> String {
    let fresh = tuning.fresh_s_max;
    format!(
        "[network]\nnode_key = \"transfer\"\n[key.transfer]\nkey_file = \"{}\"\n\
         [origin.bind]\naddresses = [\"{}\"]\nkey = \"transfer\"\n\
         [zone.\"{ZONE}\"]\norigins = [\"bind\"]\nfresh_s_max = {fresh}\n\
         [zone.\"{ZONE}\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\nretry_s_max = 1\n",
        path(&ground.key.file),
        ground.origin,
    )
}

fn announce(text: &mut String, seat: &Seat, tuning: &Tuning) {
    let Tuning { check_interval_ms, rise, fall, hold_down_s_max, hold_time_s, .. } = tuning;
    let (name, local_as, router_id) = (&seat.name, seat.local_as, seat.router_id());
    let _ = writeln!(
        text,
        "[node.{name}.anycast]\nservices = [\"dns\"]\nas = {local_as}\nrouter_id = \"{router_id}\"\n\
         fleet = \"{router_id}:{FLEET_PORT}\"\ncheck_interval_ms = {check_interval_ms}\nrise = {rise}\nfall = {fall}\n\
         hold_down_s_max = {hold_down_s_max}"
    );
    for (number, uplink) in (1..).zip(&seat.uplinks) {
        for (family, router, _) in uplink.sessions() {
            let neighbour = format!("node.{name}.anycast.neighbour.r{number}-{family}");
            let _ = writeln!(
                text,
                "[{neighbour}]\naddress = \"{router}\"\nas = {}\nhold_time_s = {hold_time_s}\n\
                 families = [\"{family}\"]\n[{neighbour}.bfd]\ninterval_ms = {}\nmultiplier = {}",
                uplink.router_as, tuning.bfd_interval_ms, tuning.bfd_multiplier,
            );
        }
    }
}

pub(super) fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
