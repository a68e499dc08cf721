//! The configuration of each BIRD, made from the plan.
//!
//! Valley-free: a network tells its customers everything, and tells peers and providers only of itself and its customers;
//! routes of customers are preferred to those of peers, and those to those of providers. What came from a customer is
//! marked by a large community. Whoever hears GRACEFUL_SHUTDOWN (RFC 8326) puts the route behind all others.

use std::fmt::Write as _;

use super::{
    EdgeHost,
    plan::{OPERATOR_AS, Plan, Purpose, SERVICE_PREFIXES},
};

/// What the other end of a session is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Neighbour {
    /// A router of the same network.
    Own,
    /// A customer's.
    Customer,
    /// A peer's.
    Peer,
    /// A provider's.
    Provider,
    /// An edge.
    Edge,
}

/// BFD with the edges; a dead one is noticed after three intervals.
const BFD: &str = "interval 50 ms; idle tx interval 200 ms; multiplier 3;";

/// The names of the BGP sessions in [`configuration`] with routers, not with edges.
pub(super) fn sessions(plan: &Plan, router: &str) -> Vec<String> {
    let between_routers = |purpose| matches!(purpose, Purpose::Backbone | Purpose::Peering | Purpose::Transit { .. });
    plan.lines_of(router)
        .filter(|(line, _)| between_routers(line.purpose))
        .flat_map(|(line, first)| ["ipv4", "ipv6"].map(|family| session(line.other_end(first), family)))
        .collect()
}

/// What a session is called: its other end and its family.
pub(super) fn session(other_end: &str, family: &str) -> String {
    format!("{}_{family}", other_end.replace('-', "_"))
}

/// The configuration of the router called `router`.
pub(super) fn configuration(plan: &Plan, router: &str) -> String {
    let as_number = as_number(plan, router);
    let mut text = head(router_id(plan, router), as_number);
    kernel(plan, router, &mut text);
    own_networks(plan, router, &mut text);
    for (line, first) in plan.lines_of(router) {
        let (neighbour, rank) = match line.purpose {
            Purpose::Backbone => (Neighbour::Own, None),
            Purpose::Peering => (Neighbour::Peer, None),
            Purpose::Transit { .. } if first => (Neighbour::Customer, None),
            Purpose::Transit { rank } => (Neighbour::Provider, Some(rank)),
            Purpose::Uplink if first => (Neighbour::Edge, None),
            Purpose::Uplink | Purpose::Access | Purpose::Management => continue,
        };
        let other = line.other_end(first);
        let addresses = line.addresses(first).into_iter().zip(line.addresses(!first));
        for (family, (local, remote)) in ["ipv4", "ipv6"].into_iter().zip(addresses) {
            let name = session(other, family);
            let remote_as = if neighbour == Neighbour::Edge { OPERATOR_AS } else { self::as_number(plan, other) };
            let mut session = format!("  local {local} as {as_number};\n  neighbor {remote} as {remote_as};\n");
            if let Some(rank) = rank {
                let _ = writeln!(session, "  router id 10.0.{rank}.{};", number(plan, router));
            }
            session.push_str(&policy(neighbour, family));
            let _ = write!(text, "protocol bgp {name} {{\n{TIMERS}{session}}}\n");
        }
    }
    text
}

/// Hold times of an everyday router; what is quicker is BFD's.
const TIMERS: &str =
    "  hold time 9; keepalive time 3; connect delay time 1; connect retry time 2; error wait time 1, 5;\n";

fn policy(neighbour: Neighbour, family: &str) -> String {
    match neighbour {
        Neighbour::Own => {
            format!("  direct;\n  {family} {{ import all; export filter to_own; next hop self; }};\n")
        }
        Neighbour::Customer => format!("  {family} {{ import filter from_customer; export filter to_customer; }};\n"),
        Neighbour::Peer => format!("  {family} {{ import filter from_peer; export filter to_others; }};\n"),
        Neighbour::Provider => format!("  {family} {{ import filter from_provider; export filter to_others; }};\n"),
        // A router that is sent nonsense by an edge is to take no harm: only the services' prefixes, and few.
        Neighbour::Edge => format!(
            "  ttl security on;\n  bfd on;\n  {family} {{\n    import filter from_edge_{family};\n    \
             import limit 16 action block;\n    export filter to_customer;\n  }};\n"
        ),
    }
}

fn head(id: String, as_number: u32) -> String {
    let [ipv4, ipv6] = SERVICE_PREFIXES;
    format!(
        "router id {id};
timeformat protocol iso long;

define CUSTOMER = ({as_number}, 1, 1);
define GRACEFUL_SHUTDOWN = (65535, 0);

function judge(int level) {{
  bgp_large_community.delete([({as_number}, *, *)]);
  bgp_local_pref = level;
  if GRACEFUL_SHUTDOWN ~ bgp_community then bgp_local_pref = 0;
}}
filter from_customer {{ judge(200); bgp_large_community.add(CUSTOMER); accept; }}
filter from_peer {{ judge(100); accept; }}
filter from_provider {{ judge(50); accept; }}
filter from_edge_ipv4 {{ if net !~ [ {ipv4} ] then reject; judge(200); bgp_large_community.add(CUSTOMER); accept; }}
filter from_edge_ipv6 {{ if net !~ [ {ipv6} ] then reject; judge(200); bgp_large_community.add(CUSTOMER); accept; }}
filter to_own {{
  if source != RTS_BGP then {{ bgp_local_pref = 200; bgp_large_community.add(CUSTOMER); }}
  accept;
}}
filter to_customer {{ accept; }}
filter to_others {{
  if source = RTS_BGP && ! (CUSTOMER ~ bgp_large_community) then reject;
  accept;
}}

protocol device {{ }}
"
    )
}

/// Routes go to the kernel. Only a site spreads packets over several: a provider's routes to different sites are equal to
/// BGP now and then, and a client is to have one edge.
fn kernel(plan: &Plan, router: &str, text: &mut String) {
    let is_site = plan.sites.iter().any(|site| site.name == router);
    let merge = if is_site { "merge paths on limit 8; " } else { "" };
    for family in ["ipv4", "ipv6"] {
        let _ = writeln!(
            text,
            "protocol kernel kernel_{family} {{ {merge}{family} {{ export where source ~ [ RTS_BGP, RTS_STATIC ]; }}; }}"
        );
    }
}

/// What the router announces by itself: a site its networks, a provider the networks of its clients.
fn own_networks(plan: &Plan, router: &str, text: &mut String) {
    if let Some(networks) = plan.site_networks(router) {
        for (family, (network, bits)) in ["ipv4", "ipv6"].into_iter().zip(networks) {
            let _ = writeln!(text, "protocol static own_{family} {{ {family}; route {network}/{bits} unreachable; }}");
        }
        let edges = plan.sites.iter().filter(|site| site.name == router).flat_map(|site| &site.edges);
        let edges: Vec<String> = edges.map(|edge| format!("\"{edge}\"")).collect();
        let _ = writeln!(text, "protocol bfd {{ interface {} {{ {BFD} }}; }}", edges.join(", "));
        return;
    }
    let clients: Vec<String> = plan
        .lines_of(router)
        .filter(|(line, first)| *first && line.purpose == Purpose::Access)
        .map(|(line, _)| format!("\"{}\"", line.second))
        .collect();
    if !clients.is_empty() {
        let _ = writeln!(text, "protocol direct own {{ ipv4; ipv6; interface {}; }}", clients.join(", "));
    }
}

/// The autonomous system of a provider's or a site's router.
pub(super) fn as_number(plan: &Plan, router: &str) -> u32 {
    let site = plan.sites.iter().find(|site| site.name == router).map(|site| site.as_number);
    let of_provider = || plan.provider_routers().find(|(name, _, _)| name == router);
    site.or_else(|| of_provider().map(|(_, provider, _)| provider.as_number)).unwrap_or_default()
}

/// The number of a router among all.
fn number(plan: &Plan, router: &str) -> usize {
    let sites = plan.sites.iter().map(|site| site.name.clone());
    let mut all = sites.chain(plan.provider_routers().map(|(name, _, _)| name));
    all.position(|name| name == router).unwrap_or_default() + 1
}

fn router_id(plan: &Plan, router: &str) -> String {
    format!("10.0.0.{}", number(plan, router))
}

/// The configuration of a BIRD at an edge that announces the service whatever happens, with these communities: what stands
/// in for a speaker that looks at health, in tests and as a peer to compare with.
pub(super) fn stand_in(edge: &EdgeHost, communities: &[(u16, u16)]) -> String {
    let [v4, v6] = SERVICE_PREFIXES;
    let [id, _] = edge.addresses;
    let mark: String =
        communities.iter().map(|(upper, lower)| format!("bgp_community.add(({upper}, {lower})); ")).collect();
    let mut text = format!(
        "router id {id};
timeformat protocol iso long;
protocol device {{ }}
protocol static service_ipv4 {{ ipv4; route {v4} unreachable; }}
protocol static service_ipv6 {{ ipv6; route {v6} unreachable; }}
filter announce {{ if source != RTS_STATIC then reject; {mark}accept; }}
protocol bfd {{ interface \"{site}\" {{ {BFD} }}; }}
",
        site = edge.site,
    );
    let addresses = edge.addresses.into_iter().zip(edge.router_addresses);
    for (family, (local, remote)) in ["ipv4", "ipv6"].into_iter().zip(addresses) {
        let _ = writeln!(
            text,
            "protocol bgp {} {{\n{TIMERS}  local {local} as {OPERATOR_AS};\n  neighbor {remote} as {};\n  \
             ttl security on;\n  bfd on;\n  {family} {{ import none; export filter announce; }};\n}}",
            session(&edge.site, family),
            edge.router_as,
        );
    }
    text
}
