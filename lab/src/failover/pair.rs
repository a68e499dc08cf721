//! The smallest ground: one router, two edges, one region; the origin behind a network of its own.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{Ground, Seat, Service, Tuning, Uplink, ZONE};
use crate::{
    Lab, LabError, Named, Network, TsigKey, ZoneSpec,
    prober::Region,
    routers::{Bird, BirdRoute},
    topologies, until, zone_text,
};

/// The router's autonomous system; the edges' follows it.
const ROUTER_AS: u32 = 64_501;
const EDGES_AS: u32 = 65_010;
/// The edges, the more wanted first.
const EDGES: [&str; 2] = ["edge1", "edge2"];
/// The origin serves its zone within this time.
const ORIGIN_DEADLINE: Duration = Duration::from_secs(60);

/// The ground, with what is alive on it.
pub struct Pair {
    /// Where the edges can stand.
    pub ground: Ground,
    /// The origin.
    pub origin: Named,
    /// The router.
    pub router: Bird,
    /// The network.
    pub net: Network,
}

/// Build it: the router prefers `edge1`.
pub fn pair(lab: &Lab, tuning: &Tuning) -> Result<Pair, LabError> {
    let net = lab.build(&topologies::two_edges())?;
    let key = TsigKey::generate(lab, "transfer")?;
    let service = Service::default();
    let client = net.host("client");
    // The router's last wire is the client's.
    for gateway in net.host("router").addresses().into_iter().rev().take(2) {
        let everywhere: IpAddr =
            if gateway.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        client.route(everywhere, 0, gateway)?;
    }
    let mut origin = Named::at(net.host("origin")).key(&key);
    for edge in EDGES {
        let towards_origin = net.host(edge).addresses().into_iter().rfind(IpAddr::is_ipv4);
        origin = origin.notify(towards_origin.unwrap_or(net.host(edge).v4()));
    }
    let origin = origin.zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start()?;
    origin.wait_for_zone(ZONE, 1, ORIGIN_DEADLINE)?;
    let seats: Vec<Seat> = EDGES.iter().map(|edge| seat(&net, edge)).collect::<Result<_, _>>()?;
    let regions = vec![Region { name: "client".to_owned(), namespace: client.clone(), addresses: service.addresses() }];
    let router = Bird::at(net.host("router")).config(&router_text(&seats, tuning)).start()?;
    let ground = Ground { regions, seats, service, origin: origin.v4(), key };
    Ok(Pair { ground, origin, router, net })
}

impl Pair {
    /// Changes of routes that the router has taken from an edge so far: announcements and withdrawals of both families.
    pub fn changes_from(&self, edge: &str) -> Result<u64, LabError> {
        let mut changes = 0;
        for family in ["ipv4", "ipv6"] {
            let text = self.router.command(&format!("show protocols all {}", session(edge, family)))?;
            let counted = text.lines().map(str::trim).filter(|line| line.starts_with("Import ") && line.contains("s:"));
            // Import updates: received rejected …; the same of withdraws.
            changes += counted.filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum::<u64>();
        }
        Ok(changes)
    }

    /// Wait until the router has (or has not) routes by the edge to the service, in both families.
    pub fn wait_for_routes(&self, edge: &str, wanted: bool, deadline: Duration) -> Result<(), LabError> {
        let state = if wanted { "announces" } else { "withdraws" };
        until(format!("the routes that {edge} {state}"), deadline, || {
            let count = |family| {
                let routes = self.router.routes(&format!("protocol {}", session(edge, family)));
                routes.map_or(usize::from(!wanted), |routes| routes.len())
            };
            ["ipv4", "ipv6"].into_iter().all(|family| (count(family) > 0) == wanted).then_some(())
        })
    }

    /// What the router has from an edge for a family: its one route, if there is one.
    pub fn route(&self, edge: &str, family: &str) -> Result<Option<BirdRoute>, LabError> {
        Ok(self.router.routes(&format!("protocol {}", session(edge, family)))?.into_iter().next())
    }
}

fn seat(net: &Network, edge: &str) -> Result<Seat, LabError> {
    let host = net.host(edge);
    // Addresses come in the order of the topology's wires, two each.
    let place = EDGES.iter().position(|other| *other == edge).unwrap_or_default();
    let router = net.host("router").addresses().into_iter().skip(2 * place).take(2).collect::<Vec<_>>();
    let own = host.addresses().into_iter().take(2).collect::<Vec<_>>();
    let uplink = Uplink::new("router", ROUTER_AS, &router, &own);
    let uplink = uplink.ok_or_else(|| LabError::Invalid(format!("{edge} has no uplink")))?;
    Ok(Seat {
        name: edge.to_owned(),
        host: host.clone(),
        local_as: EDGES_AS,
        uplinks: vec![uplink],
        origin_interface: "manage".to_owned(),
    })
}

/// BIRD's configuration: what it hears of the service goes to the kernel; RFC 8326 is honoured.
fn router_text(seats: &[Seat], tuning: &Tuning) -> String {
    let (interval, multiplier) = (tuning.bfd_interval_ms, tuning.bfd_multiplier);
    let mut text = format!(
        "router id 10.255.0.1;\nprotocol device {{ scan time 1; }}\n\
         protocol kernel {{ ipv4 {{ export all; }}; }}\nprotocol kernel {{ ipv6 {{ export all; }}; }}\n\
         protocol bfd {{ interface \"*\" {{ interval {interval} ms; multiplier {multiplier}; idle tx interval 1 s; }}; }}\n"
    );
    for (number, seat) in (0..).zip(seats) {
        let Some(uplink) = seat.uplinks.first() else { continue };
        let preference = 200 - number;
        for (family, router, own) in uplink.sessions() {
            text.push_str(&format!(
                "protocol bgp {} {{\n  local {router} as {ROUTER_AS};\n  neighbor {own} as {};\n  direct;\n  passive on;\n  \
                 ttl security on;\n  hold time {};\n  connect retry time 1;\n  error wait time 1, 2;\n  bfd on;\n  \
                 {family} {{ export none; import filter {{\n    bgp_local_pref = {preference};\n    \
                 if (65535, 0) ~ bgp_community then bgp_local_pref = 0;\n    accept; }}; }};\n}}\n",
                session(&seat.name, family),
                seat.local_as,
                tuning.hold_time_s,
            ));
        }
    }
    text
}

/// The name of the router's session with an edge for a family.
fn session(edge: &str, family: &str) -> String {
    format!("{edge}_{family}")
}
