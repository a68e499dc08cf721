//! What a node announces by BGP, and to whom.

use std::net::IpAddr;

use super::{Checker, Tables};
use crate::model::{Anycast, BfdSettings, Neighbour, RouteAttributes};
use crate::reader::{Section, join};
use crate::schema::{self, BGP_PORT, FLEET_PORT};
use crate::value::Value;

/// What a node with delayed input says of its routes unless the file says otherwise: worse than those of the others,
/// better than those of a degraded node.
const DELAYED_MED: u32 = 100;
/// See [`DELAYED_MED`].
const DELAYED_PREPEND: u8 = 1;
/// Numbers that stand for no autonomous system: one in place of longer ones (RFC 6793), and the last of two octets
/// (RFC 7300).
const NOT_AN_AS: [u64; 2] = [23_456, 65_535];
/// Longest password of a session (the kernel's TCP_MD5SIG_MAXKEYLEN).
const PASSWORD_BYTES_MAX: usize = 80;

impl Checker<'_, '_> {
    /// `delay_s` is the node's.
    pub(super) fn anycast(&mut self, section: &Section, delay_s: u32, tables: &Tables) -> Anycast {
        self.check_as(section);
        if let Some(IpAddr::V4(id)) = section.ip("router_id")
            && (id.is_unspecified() || id.is_multicast() || id.is_broadcast())
        {
            let path = join(&section.path, "router_id");
            let expected = "an IPv4 address that no other node has";
            self.sink.error(section.position("router_id"), &path, format_args!("\"{id}\""), expected);
        }
        let listen = section.sockets(self.sink, "listen", BGP_PORT);
        let neighbours: Vec<Neighbour> =
            section.entries("neighbour").map(|(name, neighbour)| self.neighbour(name, neighbour)).collect();
        self.check_neighbours(section, &neighbours, listen.is_empty());
        let up = attributes(&section.section("up"));
        let degraded = attributes(&section.section("degraded"));
        let up = if delay_s > 0 { worse_for_delay(up, &section.section("up")) } else { up };
        self.check_degraded(section, &up, &degraded);
        Anycast {
            services: self.resolve_all(section, "services", schema::ANYCAST, &tables.services),
            local_as: section.number("as"),
            router_id: match section.ip("router_id") {
                Some(IpAddr::V4(id)) => id,
                _ => std::net::Ipv4Addr::UNSPECIFIED,
            },
            listen,
            manage_addresses: section.boolean("manage_addresses"),
            check_interval_ms: section.number("check_interval_ms"),
            rise: section.number("rise"),
            fall: section.number("fall"),
            hold_down_s_max: section.number("hold_down_s_max"),
            graceful_shutdown_ms: section.number("graceful_shutdown_ms"),
            drain_ms: section.number("drain_ms"),
            fleet: section.address("fleet", FLEET_PORT),
            up,
            degraded,
            neighbours,
        }
    }

    fn neighbour(&mut self, name: &str, section: &Section) -> Neighbour {
        self.check_as(section);
        let address = section.address("address", BGP_PORT);
        self.check_session(section, address.map(|address| address.ip()));
        let password_file = self.path(section, "password_file");
        if let Some(file) = &password_file {
            self.check_password(section, file);
        }
        let bfd = section
            .optional_section("bfd")
            .map(|bfd| BfdSettings { interval_ms: bfd.number("interval_ms"), multiplier: bfd.number("multiplier") });
        let hops_max = section.number("hops_max");
        if let (Some(bfd), 2..) = (section.optional_section("bfd"), hops_max) {
            let expected = "hops_max = 1: BFD is spoken with routers on the same link (RFC 5881)";
            self.sink.error(bfd.at, &bfd.path, format_args!("BFD over {hops_max} hops"), expected);
        }
        let family = |name: &str| section.texts("families").any(|(family, _)| family == name);
        Neighbour {
            name: name.to_owned(),
            // What is missing was reported.
            address: address.unwrap_or_else(|| ([0, 0, 0, 0], BGP_PORT).into()),
            source: section.ip("source"),
            remote_as: section.number("as"),
            passive: section.boolean("passive"),
            password_file,
            hops_max,
            ttl_security: section.boolean("ttl_security"),
            hold_time_s: section.number("hold_time_s"),
            connect_retry_ms: section.number("connect_retry_ms"),
            ipv4: family("ipv4"),
            ipv6: family("ipv6"),
            extended_next_hop: section.boolean("extended_next_hop"),
            next_hop_ipv4: match section.ip("next_hop_ipv4") {
                Some(IpAddr::V4(address)) => Some(address),
                _ => None,
            },
            next_hop_ipv6: match section.ip("next_hop_ipv6") {
                Some(IpAddr::V6(address)) => Some(address),
                _ => None,
            },
            graceful_restart_s: section.number("graceful_restart_s"),
            bfd,
            routes_kept_max: section.number("routes_kept_max"),
        }
    }

    fn check_as(&mut self, section: &Section) {
        let number = section.integer("as");
        if NOT_AN_AS.contains(&number) {
            let expected = "the number of an autonomous system; this one is reserved (RFC 6793, RFC 7300)";
            self.sink.error(section.position("as"), &join(&section.path, "as"), number, expected);
        }
    }

    /// Reports what does not fit the address that the session is with.
    fn check_session(&mut self, section: &Section, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        let mut wrong = |item: &str, found: String, expected: &str| {
            self.sink.error(section.position(item), &join(&section.path, item), found, expected);
        };
        if matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()) {
            wrong("address", format!("\"{address}\", which is good on one link alone"), "a global or private address");
        }
        if let Some(source) = section.ip("source") {
            if source.is_ipv4() != address.is_ipv4() {
                let expected = if address.is_ipv4() { "an IPv4 address" } else { "an IPv6 address" };
                wrong("source", format!("\"{source}\", where the neighbour has \"{address}\""), expected);
            } else if source == address {
                wrong("source", format!("\"{source}\", which is the neighbour's"), "an address of this node");
            }
        }
        if section.boolean("extended_next_hop") && address.is_ipv4() {
            let expected = "false, or a session over IPv6: an IPv6 next hop is no use where there is IPv4 (RFC 8950)";
            wrong("extended_next_hop", "true on a session over IPv4".to_owned(), expected);
        }
        for (index, (family, at)) in section.texts("families").enumerate() {
            if section.texts("families").take(index).any(|(other, _)| other == family) {
                let path = format!("{}[{index}]", join(&section.path, "families"));
                self.sink.error(at, &path, format_args!("{family:?} again"), "each family once");
            }
        }
    }

    /// The file is on the node alone, and a network file is read on all of them: that it can't be read here is a warning.
    fn check_password(&mut self, section: &Section, file: &std::path::Path) {
        let (at, path) = (section.position("password_file"), join(&section.path, "password_file"));
        let shown = format!("{:?}", file.display().to_string());
        match self.files.read(file) {
            Err(why) => {
                let expected = "a file that can be read, on the node itself";
                self.sink.warning(at, &path, format_args!("{shown}: {why}"), expected);
            }
            Ok(secret) => {
                let password = secret.text.trim_end_matches(['\r', '\n']);
                if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
                    let found = format!("a password of {} bytes (not shown)", password.len());
                    let expected = format!("1 to {PASSWORD_BYTES_MAX} bytes in one line, as TCP MD5 has it");
                    self.sink.error(at, &path, found, expected);
                } else if secret.world_readable {
                    let found = format!("{shown}, which everybody can read");
                    let expected = format!("a file for its owner alone: chmod 600 {}", file.display());
                    self.sink.warning(at, &path, found, expected);
                }
            }
        }
    }

    /// Reports neighbours that can't be told from each other, or that no session can come from.
    fn check_neighbours(&mut self, section: &Section, neighbours: &[Neighbour], no_listen: bool) {
        if neighbours.is_empty() && !self.sink.incomplete {
            let expected = "[…anycast.neighbour.NAME]: a router, or nothing is announced";
            self.sink.warning(section.at, &join(&section.path, "neighbour"), "nobody", expected);
        }
        for (index, (neighbour, (_, entry))) in neighbours.iter().zip(section.entries("neighbour")).enumerate() {
            let twin = |other: &&Neighbour| other.address.ip() == neighbour.address.ip();
            if entry.found("address").is_some()
                && let Some(other) = neighbours.iter().take(index).find(twin)
            {
                let found = format!("\"{}\" again, as {:?} has it", neighbour.address.ip(), other.name);
                let expected = "each address once: an incoming session is known by it";
                self.sink.error(entry.position("address"), &join(&entry.path, "address"), found, expected);
            }
            if neighbour.passive && no_listen {
                let expected = format!("an address that it can connect to: {}", join(&section.path, "listen"));
                self.sink.error(entry.position("passive"), &join(&entry.path, "passive"), "true in vain", expected);
            }
        }
    }

    fn check_degraded(&mut self, section: &Section, up: &RouteAttributes, degraded: &RouteAttributes) {
        let told_apart = |attributes: &RouteAttributes| {
            let RouteAttributes { communities, extended_communities, large_communities, .. } = attributes.clone();
            (communities, extended_communities, large_communities)
        };
        // AS_PATH is compared before MULTI_EXIT_DISC (RFC 4271 §9.1.2.2).
        let rank = |attributes: &RouteAttributes| (attributes.prepend, attributes.med.unwrap_or(0));
        if rank(degraded) <= rank(up) && told_apart(degraded) == told_apart(up) {
            let degraded = section.section("degraded");
            let expected = "routes that are worse than those of `up`: more prepend, a higher med, or a community";
            self.sink.warning(degraded.at, &degraded.path, "routes as good as those of `up`", expected);
        }
    }
}

fn attributes(section: &Section) -> RouteAttributes {
    let med = section.found("med").map(|_| section.number("med"));
    let list = |name: &str| section.list(name).iter().map(|found| &found.value);
    RouteAttributes {
        med,
        prepend: section.number("prepend"),
        communities: list("communities")
            .filter_map(|value| if let Value::Community(community) = value { Some(*community) } else { None })
            .collect(),
        extended_communities: list("extended_communities")
            .filter_map(|value| if let Value::ExtendedCommunity(community) = value { Some(*community) } else { None })
            .collect(),
        large_communities: list("large_communities")
            .filter_map(|value| if let Value::LargeCommunity(community) = value { Some(*community) } else { None })
            .collect(),
    }
}

/// What the file does not say otherwise, of a node that should be the last to be asked.
fn worse_for_delay(up: RouteAttributes, section: &Section) -> RouteAttributes {
    if up.med.is_some() {
        return up;
    }
    let by_default = section.found("prepend").is_none_or(|found| found.at.is_none());
    RouteAttributes { med: Some(DELAYED_MED), prepend: if by_default { DELAYED_PREPEND } else { up.prepend }, ..up }
}
