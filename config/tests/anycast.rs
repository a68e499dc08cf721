//! What the file says of anycast: services, what a node announces and to whom, and what keeps nodes from doing so.

mod support;

use std::net::SocketAddr;

use config::{
    AddressFamily, BfdSettings, Changes, Config, FleetMember, Network, NodeChange, RouteAttributes, ZoneCheck,
};
use support::{Files, KEY_FILE};

const NETWORK: &str = r#"
[network]
node_key = "transfer"
[key.transfer]
key_file = "transfer.key"
[anycast.dns]
prefixes = ["192.0.2.0/24", "2001:db8:53::/48"]
addresses = ["192.0.2.53", "2001:db8:53::53"]
[anycast.web]
prefixes = ["198.51.100.0/24"]
addresses = ["198.51.100.80"]
nodes_min = 2
[defaults.node]
listen = ["0.0.0.0:53", "[::]:53"]
anycast.as = 65010
anycast.services = ["dns"]
anycast.neighbour.r1.as = 64501
anycast.neighbour.r1.bfd = {}
[node.ams-1]
listen = ["192.0.2.53:53", "[2001:db8:53::53]:53", "10.0.0.1:53"]
[node.ams-1.anycast]
router_id = "10.0.0.1"
fleet = "10.0.0.1"
[node.ams-1.anycast.up]
communities = ["65010:100", "GRACEFUL_SHUTDOWN"]
large_communities = ["65010:1:2"]
extended_communities = ["rt:65010:100"]
[node.ams-1.anycast.neighbour.r1]
address = "10.0.0.254"
bfd.interval_ms = 20
[node.ams-1.anycast.neighbour.r2]
address = "[2001:db8::fe]:1179"
as = 64502
password_file = "r2.password"
families = ["ipv6"]
[node.fra-1]
[node.fra-1.anycast]
router_id = "10.0.0.2"
fleet = "10.0.0.2:9000"
services = ["dns", "web"]
neighbour.r1.address = "10.0.0.253"
[node.late-1]
delay_s = 3600
[node.late-1.anycast]
router_id = "10.0.0.3"
fleet = "10.0.0.3"
neighbour.r1.address = "10.0.0.252"
[origin.a]
addresses = ["203.0.113.1"]
[zone."example.com"]
origins = ["a"]
fresh_s_max = 60
checks = ["www A 192.0.2.80", "@ AAAA", "ns.example.com. A"]
"#;

/// A node without anything of anycast that would be wrong.
const NODE: &str = r#"
[anycast.dns]
prefixes = ["192.0.2.0/24"]
addresses = ["192.0.2.53"]
[origin.a]
addresses = ["203.0.113.1"]
[zone."example.com"]
origins = ["a"]
[node.n]
listen = ["0.0.0.0:53"]
[node.n.anycast]
services = ["dns"]
as = 65010
router_id = "10.0.0.1"
[node.n.anycast.neighbour.r]
address = "10.0.0.254"
as = 64501
"#;

fn files() -> Files {
    Files([("transfer.key", KEY_FILE), ("r2.password", "swordfish\n"), ("empty", "\n"), ("open", "!x")].into())
}

fn node(text: &str, name: &str) -> Config {
    let parsed = Network::parse(text, "net.toml", &files()).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(parsed.warnings, []);
    parsed.value.for_node(name).unwrap()
}

/// The diagnostics without their places.
fn check(text: &str, want: &[&str]) {
    let got: Vec<String> = match Network::parse(text, "net.toml", &files()) {
        Ok(parsed) => parsed.warnings.iter().map(ToString::to_string).collect(),
        Err(diagnostics) => diagnostics.0.iter().map(ToString::to_string).collect(),
    };
    let got: Vec<_> = got.iter().map(|line| line.splitn(4, ':').nth(3).unwrap_or(line).trim()).collect();
    assert_eq!(got, want, "\n{}\n", got.join("\n"));
}

/// [`NODE`] with something else in the place of a part of it.
fn check_with(part: &str, other: &str, want: &[&str]) {
    assert!(NODE.contains(part), "{part}");
    check(&NODE.replacen(part, other, 1), want);
}

#[test]
fn a_node_has_its_services_neighbours_and_fleet() {
    let config = node(NETWORK, "ams-1");
    assert_eq!(config.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["dns"]);
    assert_eq!(config.services[0].prefixes, ["192.0.2.0/24".parse().unwrap(), "2001:db8:53::/48".parse().unwrap()]);
    assert_eq!(config.services[0].nodes_min, 1);
    let anycast = config.node.anycast.unwrap();
    assert_eq!((anycast.local_as, anycast.router_id), (65010, [10, 0, 0, 1].into()));
    assert_eq!((anycast.rise, anycast.fall, anycast.check_interval_ms), (3, 3, 200));
    assert_eq!(anycast.fleet, Some("10.0.0.1:8179".parse().unwrap()));
    let [r1, r2] = anycast.neighbours.as_slice() else { panic!("two neighbours") };
    assert_eq!((r1.address, r1.remote_as), ("10.0.0.254:179".parse().unwrap(), 64501));
    assert_eq!(r1.bfd, Some(BfdSettings { interval_ms: 20, multiplier: 3 }));
    assert_eq!((r1.hold_time_s, r1.hops_max, r1.ttl_security, r1.ipv4, r1.ipv6), (9, 1, true, true, true));
    assert_eq!((r2.address, r2.ipv4, r2.ipv6, r2.bfd), ("[2001:db8::fe]:1179".parse().unwrap(), false, true, None));
    assert_eq!(r2.password_file.as_deref(), Some("r2.password".as_ref()));
    let member = |node: &str, address: &str, services: &[&str]| FleetMember {
        node: node.to_owned(),
        address: address.parse().unwrap(),
        services: services.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        config.fleet,
        [member("fra-1", "10.0.0.2:9000", &["dns", "web"]), member("late-1", "10.0.0.3:8179", &["dns"])]
    );
}

#[test]
fn routes_have_attributes_for_each_state() {
    let up = node(NETWORK, "ams-1").node.anycast.unwrap();
    let communities = RouteAttributes {
        med: None,
        prepend: 0,
        communities: vec![0xfdf2_0064, 0xffff_0000],
        extended_communities: vec![[0, 2, 0xfd, 0xf2, 0, 0, 0, 100]],
        large_communities: vec![[65010, 1, 2]],
    };
    assert_eq!(up.up, communities);
    assert_eq!(up.degraded, RouteAttributes { med: Some(1000), prepend: 3, ..RouteAttributes::default() });
}

#[test]
fn a_delayed_node_is_worse_than_the_others_and_better_than_degraded_ones() {
    let late = node(NETWORK, "late-1").node;
    assert_eq!(late.delay_s, 3600);
    let anycast = late.anycast.unwrap();
    assert_eq!((anycast.up.med, anycast.up.prepend), (Some(100), 1));
    let said =
        NETWORK.replace("neighbour.r1.address = \"10.0.0.252\"", "neighbour.r1.address = \"10.0.0.252\"\nup.med = 7");
    let anycast = node(&said, "late-1").node.anycast.unwrap();
    assert_eq!((anycast.up.med, anycast.up.prepend), (Some(7), 0));
    let said = NETWORK
        .replace("neighbour.r1.address = \"10.0.0.252\"", "neighbour.r1.address = \"10.0.0.252\"\nup.prepend = 0");
    let anycast = node(&said, "late-1").node.anycast.unwrap();
    assert_eq!((anycast.up.med, anycast.up.prepend), (Some(100), 0));
}

#[test]
fn zones_have_checks_with_whole_names() {
    let zone = &node(NETWORK, "ams-1").zones[0];
    let question = |name: &str, address_family, expected: Option<&str>| ZoneCheck {
        name: name.to_owned(),
        address_family,
        expected: expected.map(|address| address.parse().unwrap()),
    };
    assert_eq!(zone.fresh_s_max, Some(60));
    assert_eq!(
        zone.checks,
        [
            question("www.example.com.", AddressFamily::Ipv4, Some("192.0.2.80")),
            question("example.com.", AddressFamily::Ipv6, None),
            question("ns.example.com.", AddressFamily::Ipv4, None),
        ]
    );
}

#[test]
fn members_of_a_catalog_have_the_checks_of_their_template() {
    let text = NODE.to_owned()
        + "[template.bulk]\nchecks = [\"www A\"]\n[catalog.\"cat.example\"]\norigins = [\"a\"]\ntemplate = \"bulk\"\n";
    let config = node(&text, "n");
    let names = |zone: &str| config.catalogs[0].template.checks_for(zone)[0].name.clone();
    assert_eq!(names("one.example."), "www.one.example.");
    assert_eq!(names("two.example."), "www.two.example.");
}

#[test]
fn service_addresses_are_not_where_other_nodes_reach_a_node() {
    let own: Vec<SocketAddr> = vec!["10.0.0.1:53".parse().unwrap()];
    assert_eq!(node(NETWORK, "ams-1").node.transfer_addresses, own);
    check_with(
        "listen =",
        "transfer_addresses = [\"192.0.2.53\"]\nlisten =",
        &["error: node.n.transfer_addresses: found \"192.0.2.53\", which is an address of [anycast.dns]; expected \
           addresses of the node's own: others must reach this node by them"],
    );
}

#[test]
fn a_node_without_anycast_has_nothing_of_it() {
    let text = NETWORK.to_owned() + "[node.plain]\nanycast.router_id = \"10.0.0.4\"\n";
    let (head, _) = NODE.split_once("[node.n.anycast]").unwrap();
    let (_, head) = head.split_once("[origin.a]").unwrap();
    let config = node(&format!("[origin.a]{head}"), "n");
    assert_eq!((config.node.anycast, config.services.len(), config.fleet.len()), (None, 0, 0));
    assert_eq!(config.node.delay_s, 0);
    // Of what nodes have in common, what is missing is said for each.
    check(
        &text,
        &[
            "error: node.plain.anycast.neighbour.r1.address: found nothing; expected an address, with a port if it is not \
             179, such as \"192.0.2.1\" or \"[2001:db8::1]:179\": address = \"192.0.2.254\"",
            "warning: node.plain.anycast.fleet: found nothing, where others announce \"dns\" too; expected an address \
             where it hears other nodes; without it none of them can leave for a soft reason",
        ],
    );
}

#[test]
fn the_plain_node_is_good() {
    check(NODE, &[]);
}

#[test]
fn services_are_checked() {
    check_with(
        "192.0.2.0/24",
        "192.0.2.1/24",
        &[
            "error: anycast.dns.prefixes[0]: found \"192.0.2.1/24\"; expected no bits set behind the prefix length: write \
           \"192.0.2.0/24\"",
        ],
    );
    check_with(
        "[\"192.0.2.53\"]",
        "[\"198.51.100.53\", \"127.0.0.1\"]",
        &[
            "error: anycast.dns.addresses[0]: found \"198.51.100.53\"; expected an address within 192.0.2.0/24",
            "error: anycast.dns.addresses[1]: found \"127.0.0.1\"; expected an address that can be routed to a machine",
        ],
    );
    check_with(
        "[anycast.dns]",
        "[anycast.also]\nprefixes = [\"192.0.2.0/24\"]\naddresses = [\"192.0.2.53\"]\n[anycast.dns]",
        &[
            "warning: anycast.also: found a service of no node; expected a node that announces it: services = [\"also\"] in \
             [node.NAME.anycast]",
            "error: anycast.dns.prefixes[0]: found \"192.0.2.0/24\" again, which [anycast.also] has; expected each once: \
             who would tell which service a query was for?",
            "error: anycast.dns.addresses[0]: found \"192.0.2.53\" again, which [anycast.also] has; expected each once: \
             who would tell which service a query was for?",
        ],
    );
    check_with(
        "192.0.2.0/24",
        "0.0.0.0/0",
        &["error: anycast.dns.prefixes[0]: found the default route; expected the prefix that the addresses are in"],
    );
    check_with(
        "services = [\"dns\"]",
        "services = [\"dsn\"]",
        &[
            "warning: anycast.dns: found a service of no node; expected a node that announces it: services = [\"dns\"] in \
             [node.NAME.anycast]",
            "error: node.n.anycast.services[0]: found \"dsn\"; expected one of dns (did you mean \"dns\"?)",
        ],
    );
    check_with(
        "0.0.0.0:53",
        "[::]:53",
        &[
            "error: node.n.anycast.services[0]: found \"dns\" with \"192.0.2.53\", where the node does not listen; expected \
           \"192.0.2.53:53\" or a wildcard in its listen",
        ],
    );
}

#[test]
fn neighbours_are_checked() {
    const LAST: &str = "as = 64501\n";
    let with = |more: &str, want: &[&str]| check_with(LAST, &format!("{LAST}{more}\n"), want);
    with(
        "hold_time_s = 2",
        &[
            "error: node.n.anycast.neighbour.r.hold_time_s: found 2; expected a whole number from 3 to 65535, in seconds",
        ],
    );
    with(
        "families = []",
        &["error: node.n.anycast.neighbour.r.families: found a list of 0; expected a list of 1 to 2, each one of \
           \"ipv4\", \"ipv6\""],
    );
    with(
        "families = [\"ipv4\", \"ipv4\"]",
        &["error: node.n.anycast.neighbour.r.families[1]: found \"ipv4\" again; expected each family once"],
    );
    with(
        "extended_next_hop = true",
        &[
            "error: node.n.anycast.neighbour.r.extended_next_hop: found true on a session over IPv4; expected false, or a \
           session over IPv6: an IPv6 next hop is no use where there is IPv4 (RFC 8950)",
        ],
    );
    with(
        "source = \"2001:db8::1\"",
        &["error: node.n.anycast.neighbour.r.source: found \"2001:db8::1\", where the neighbour has \"10.0.0.254\"; \
           expected an IPv4 address"],
    );
    with(
        "passive = true",
        &[
            "error: node.n.anycast.neighbour.r.passive: found true in vain; expected an address that it can connect to: \
           node.n.anycast.listen",
        ],
    );
    with(
        "hops_max = 2\n[node.n.anycast.neighbour.r.bfd]",
        &[
            "error: node.n.anycast.neighbour.r.bfd: found BFD over 2 hops; expected hops_max = 1: BFD is spoken with routers \
           on the same link (RFC 5881)",
        ],
    );
    with(
        "[node.n.anycast.neighbour.s]\naddress = \"10.0.0.254:1179\"\nas = 23456",
        &[
            "error: node.n.anycast.neighbour.s.address: found \"10.0.0.254\" again, as \"r\" has it; expected each address \
             once: an incoming session is known by it",
            "error: node.n.anycast.neighbour.s.as: found 23456; expected the number of an autonomous system; this one is \
             reserved (RFC 6793, RFC 7300)",
        ],
    );
    check_with(
        "\"10.0.0.254\"",
        "\"fe80::1\"",
        &["error: node.n.anycast.neighbour.r.address: found \"fe80::1\", which is good on one link alone; expected a \
           global or private address"],
    );
    check_with(
        "[node.n.anycast.neighbour.r]\naddress = \"10.0.0.254\"\nas = 64501\n",
        "",
        &[
            "warning: node.n.anycast.neighbour: found nobody; expected […anycast.neighbour.NAME]: a router, or nothing is \
           announced",
        ],
    );
}

#[test]
fn passwords_are_read_and_never_shown() {
    let with = |file: &str, want: &[&str]| {
        let at_end = format!("as = 64501\npassword_file = {file:?}\n");
        check_with("as = 64501\n", &at_end, want);
    };
    with("r2.password", &[]);
    with(
        "missing",
        &[
            "warning: node.n.anycast.neighbour.r.password_file: found \"missing\": no such file; expected a file that can \
           be read, on the node itself",
        ],
    );
    with(
        "empty",
        &[
            "error: node.n.anycast.neighbour.r.password_file: found a password of 0 bytes (not shown); expected 1 to 80 \
           bytes in one line, as TCP MD5 has it",
        ],
    );
    with(
        "open",
        &[
            "warning: node.n.anycast.neighbour.r.password_file: found \"open\", which everybody can read; expected a file \
           for its owner alone: chmod 600 open",
        ],
    );
}

#[test]
fn attributes_are_checked() {
    check_with(
        "[node.n.anycast.neighbour.r]",
        "[node.n.anycast.up]\ncommunities = [\"65536:1\"]\nlarge_communities = [\"1:2\"]\nextended_communities = \
         [\"rt:1\"]\nprepend = 17\n[node.n.anycast.neighbour.r]",
        &[
            "error: node.n.anycast.up.communities[0]: found \"65536:1\"; expected a community such as \"65010:100\" or \
             \"NO_EXPORT\"",
            "error: node.n.anycast.up.large_communities[0]: found \"1:2\"; expected a large community such as \"65010:1:2\"",
            "error: node.n.anycast.up.extended_communities[0]: found \"rt:1\"; expected an extended community such as \
             \"rt:65010:100\", \"ro:192.0.2.1:7\" or \"0x\" and 16 hexadecimal digits",
            "error: node.n.anycast.up.prepend: found 17; expected a whole number from 0 to 16",
        ],
    );
    check_with(
        "[node.n.anycast.neighbour.r]",
        "[node.n.anycast.degraded]\nmed = 0\nprepend = 0\n[node.n.anycast.neighbour.r]",
        &[
            "warning: node.n.anycast.degraded: found routes as good as those of `up`; expected routes that are worse than \
           those of `up`: more prepend, a higher med, or a community",
        ],
    );
}

#[test]
fn fleets_need_a_key_and_addresses_of_their_own() {
    check_with(
        "router_id = \"10.0.0.1\"",
        "router_id = \"10.0.0.1\"\nfleet = \"192.0.2.53:8179\"",
        &[
            "error: node.n.anycast.fleet: found \"192.0.2.53:8179\" without a key; expected a key that nodes sign with: \
             node_key = \"NAME\" in [network]",
            "error: node.n.anycast.fleet: found \"192.0.2.53\", which is an address of [anycast.dns]; expected an address of \
             the node's own: others must reach this node by it",
        ],
    );
    let twin = NODE.to_owned()
        + "[node.m]\nlisten = [\"0.0.0.0:53\"]\nanycast = { services = [\"dns\"], as = 65010, router_id = \"10.0.0.1\", \
           neighbour.r = { address = \"10.0.0.254\", as = 64501 } }\n";
    check(
        &twin,
        &[
            "warning: node.n.anycast.fleet: found nothing, where others announce \"dns\" too; expected an address where it \
             hears other nodes; without it none of them can leave for a soft reason",
            "warning: node.n.anycast.router_id: found \"10.0.0.1\", which \"m\" has too; expected an identifier of its own: \
             routers take two with one for the same",
            "warning: node.m.anycast.fleet: found nothing, where others announce \"dns\" too; expected an address where it \
             hears other nodes; without it none of them can leave for a soft reason",
        ],
    );
}

#[test]
fn zone_checks_are_checked() {
    check_with(
        "[zone.\"example.com\"]",
        "[zone.\"example.com\"]\nchecks = [\"www\", \"www.example.net. A\"]",
        &[
            "error: zone.\"example.com\".checks[0]: found \"www\"; expected a name, A or AAAA, and if need be an address, such \
           as \"www A 192.0.2.80\"",
        ],
    );
    check_with(
        "[zone.\"example.com\"]",
        "[zone.\"example.com\"]\nchecks = [\"www.example.net. A\"]",
        &[
            "error: zone.\"example.com\".checks[0]: found \"www.example.net.\"; expected a name within \"example.com.\", \
           relative or with a dot at its end",
        ],
    );
}

#[test]
fn a_reload_changes_what_was_not_bound() {
    let old = node(NETWORK, "ams-1");
    let check = |part: &str, other: &str, items: &[(&'static str, bool)], services: bool| {
        assert!(NETWORK.contains(part), "{part}");
        let new = node(&NETWORK.replacen(part, other, 1), "ams-1");
        let changes = Changes::between(&old, &new);
        let want = items.iter().map(|(item, needs_restart)| NodeChange { item, needs_restart: *needs_restart });
        assert_eq!((changes.node, changes.services), (want.collect::<Vec<_>>(), services), "{other}");
    };
    check("address = \"10.0.0.254\"", "address = \"10.0.0.250\"", &[("anycast", false)], false);
    check("\"65010:100\", ", "", &[("anycast", false)], false);
    check("router_id = \"10.0.0.1\"", "router_id = \"10.0.0.9\"", &[("anycast.router_id", true)], false);
    check("fleet = \"10.0.0.1\"", "fleet = \"10.0.0.9\"", &[("anycast.fleet", true)], false);
    check("fleet = \"10.0.0.2:9000\"", "fleet = \"10.0.0.2:9001\"", &[], true);
    check("\"192.0.2.0/24\"", "\"192.0.2.0/25\"", &[], true);
    check("as = 65010", "as = 65011", &[("anycast.as", true)], false);
    check(
        "fleet = \"10.0.0.1\"",
        "fleet = \"10.0.0.1\"\nlisten = [\"10.0.0.1:179\"]\nmanage_addresses = false\nrise = 5",
        &[("anycast.listen", true), ("anycast.manage_addresses", true), ("anycast", false)],
        false,
    );
}

#[test]
fn what_was_bound_stays_until_a_restart() {
    let old = node(NETWORK, "ams-1");
    let text = NETWORK
        .replacen("\"192.0.2.53\", \"2001:db8:53::53\"", "\"192.0.2.54\", \"2001:db8:53::53\"", 1)
        .replacen("192.0.2.53:53", "192.0.2.54:53", 1)
        .replacen("\"2001:db8:53::/48\"]", "\"2001:db8:53::/48\", \"203.0.113.0/24\"]", 1)
        .replacen("address = \"10.0.0.254\"", "address = \"10.0.0.250\"", 1)
        .replacen("router_id = \"10.0.0.1\"", "router_id = \"10.0.0.9\"", 1);
    let mut new = node(&text, "ams-1");
    let changes = Changes::between(&old, &new);
    let restart: Vec<_> = changes.need_restart().collect();
    assert_eq!(restart, ["listen", "anycast.router_id", "anycast.services"]);
    new.keep_bound_anycast(&old);
    let anycast = new.node.anycast.as_ref().unwrap();
    assert_eq!(anycast.router_id, std::net::Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(anycast.neighbours[0].address, "10.0.0.250:179".parse().unwrap());
    assert_eq!(new.services[0].addresses, old.services[0].addresses);
    assert_eq!(new.services[0].prefixes.len(), 3);
    let (head, _) = NETWORK.split_once("[anycast.dns]").unwrap();
    let (_, tail) = NETWORK.split_once("[origin.a]").unwrap();
    let without = format!("{head}[node.ams-1]\nlisten = [\"10.0.0.1:53\"]\n[origin.a]{tail}");
    let mut without = node(&without, "ams-1");
    assert_eq!(Changes::between(&old, &without).need_restart().collect::<Vec<_>>(), ["listen", "anycast"]);
    without.keep_bound_anycast(&old);
    assert_eq!((&without.node.anycast, &without.services), (&old.node.anycast, &old.services));
}
