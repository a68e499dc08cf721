//! The internet as data: providers and their routers, sites with edges, clients, and the lines between them.

use std::{fmt, net::IpAddr, time::Duration};

use crate::{LabError, wires::Quality};

/// The autonomous system of whoever runs the edges; the same at all sites.
pub const OPERATOR_AS: u32 = 64500;
/// What the edges announce.
pub const SERVICE_PREFIXES: [&str; 2] = ["192.0.2.0/24", "2001:db8:53::/48"];
/// The addresses in them that answer.
pub const SERVICE_ADDRESSES: [&str; 2] = ["192.0.2.53", "2001:db8:53::53"];
/// The router of the management network, and the hidden origin on it.
pub const MANAGEMENT: &str = "management";
/// See [`MANAGEMENT`].
pub const ORIGIN: &str = "origin";
/// Characters of a name: it names interfaces, IFNAMSIZ less its closing zero byte.
const NAME_BYTES_MAX: usize = 15;

/// A part of the world.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Region {
    /// Around the North Sea.
    Europe,
    /// Both coasts of North America.
    America,
    /// Around the South China Sea.
    Asia,
}

impl Region {
    /// All of them.
    pub const ALL: [Region; 3] = [Region::Europe, Region::America, Region::Asia];

    /// As it ends the names of routers.
    fn code(self) -> &'static str {
        match self {
            Region::Europe => "eu",
            Region::America => "us",
            Region::Asia => "as",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Region::Europe => "europe",
            Region::America => "america",
            Region::Asia => "asia",
        })
    }
}

/// A network that carries others' packets, with one router in each of its regions.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name; its routers are called `NAME-REGION`.
    pub name: String,
    /// Its autonomous system.
    pub as_number: u32,
    /// Where it is.
    pub regions: Vec<Region>,
}

/// A house with a router and edges in it.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name, which is its router's too.
    pub name: String,
    /// Where it is.
    pub region: Region,
    /// Its autonomous system: the house's, not the operator's.
    pub as_number: u32,
    /// The edges in it.
    pub edges: Vec<String>,
}

/// A network of people who ask.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: Region,
    /// Whose customer it is.
    pub provider: String,
}

/// What a line is for: who talks BGP over it, and with which policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Between routers of one provider: iBGP.
    Backbone,
    /// Between two providers: each tells of itself and its customers.
    Peering,
    /// From a provider (first) to a site: the provider tells of everything, the site of itself and its edges.
    Transit {
        /// Of several routes that are equal otherwise, BGP takes that of the lowest identifier (RFC 4271 §9.1.2.2 f), and
        /// this begins the identifier that the site has towards this provider.
        rank: u8,
    },
    /// From a provider's router (first) to a client; no BGP.
    Access,
    /// From a site's router (first) to an edge; eBGP and BFD.
    Uplink,
    /// From the management network's router (first) to an edge or the origin; no BGP, and no way into the internet.
    Management,
}

/// A line between two hosts.
#[derive(Clone, Debug)]
pub struct Line {
    /// One end; it has the lower addresses.
    pub first: String,
    /// The other end.
    pub second: String,
    /// What it is for.
    pub purpose: Purpose,
    /// What it does to frames.
    pub quality: Quality,
    /// The networks on it.
    pub networks: [Network; 2],
}

/// A network: its address and how many bits of it are the prefix.
pub type Network = (IpAddr, u8);

/// The whole of it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The providers.
    pub providers: Vec<Provider>,
    /// The sites.
    pub sites: Vec<Site>,
    /// The clients.
    pub clients: Vec<Client>,
    /// The lines.
    pub lines: Vec<Line>,
}

impl Plan {
    /// Three regions, three providers, five sites with six edges, and a client of two providers in each region.
    ///
    /// Delays are those of light in the usual cables, one way: 40 ms across the Atlantic, 65 to 80 ms across the Pacific
    /// and around India, 3 to 10 ms within a region.
    pub fn standard() -> Plan {
        use Region::{America, Asia, Europe};
        Plan::default()
            .provider("arbor", 64501, &[Europe, America, Asia])
            .provider("birch", 64502, &[Europe, America])
            .provider("cedar", 64503, &[America, Asia])
            .backbone("arbor", [Europe, America], 40)
            .backbone("arbor", [America, Asia], 75)
            .backbone("arbor", [Europe, Asia], 80)
            .backbone("birch", [Europe, America], 42)
            .backbone("cedar", [America, Asia], 65)
            .peering(["arbor", "birch"], Europe, 2)
            .peering(["arbor", "birch"], America, 5)
            .peering(["arbor", "cedar"], America, 8)
            .peering(["birch", "cedar"], America, 6)
            .peering(["arbor", "cedar"], Asia, 5)
            .site("ams", Europe, 64511, 2, Quality::delay(ms(8)))
            .site("fra", Europe, 64512, 1, Quality::delay(ms(5)))
            .site("nyc", America, 64513, 1, Quality::delay(ms(45)))
            .site("sjc", America, 64514, 1, Quality::delay(ms(70)).jitter(ms(4)))
            .site("sin", Asia, 64515, 1, Quality::delay(ms(85)).jitter(ms(10)).loss(0.005))
            .transit("ams", "arbor", 3, 1)
            .transit("ams", "birch", 4, 2)
            .transit("fra", "birch", 3, 1)
            .transit("fra", "arbor", 6, 2)
            .transit("nyc", "arbor", 4, 1)
            .transit("nyc", "birch", 3, 1)
            .transit("nyc", "cedar", 10, 2)
            .transit("sjc", "cedar", 3, 1)
            .transit("sjc", "arbor", 10, 2)
            .transit("sin", "cedar", 3, 1)
            .transit("sin", "arbor", 5, 1)
            .client("europe-1", Europe, "arbor", 5)
            .client("europe-2", Europe, "birch", 6)
            .client("america-1", America, "arbor", 5)
            .client("america-2", America, "cedar", 5)
            .client("asia-1", Asia, "cedar", 6)
            .client("asia-2", Asia, "arbor", 7)
    }

    /// Add a provider.
    pub fn provider(mut self, name: &str, as_number: u32, regions: &[Region]) -> Plan {
        self.providers.push(Provider { name: name.to_owned(), as_number, regions: regions.to_vec() });
        self
    }

    /// Add a line between two regions of a provider.
    pub fn backbone(self, provider: &str, regions: [Region; 2], delay_ms: u64) -> Plan {
        let [first, second] = regions.map(|region| router_name(provider, region));
        self.line(&first, &second, Purpose::Backbone, Quality::delay(ms(delay_ms)))
    }

    /// Let two providers exchange their customers' packets in a region.
    pub fn peering(self, providers: [&str; 2], region: Region, delay_ms: u64) -> Plan {
        let [first, second] = providers.map(|provider| router_name(provider, region));
        self.line(&first, &second, Purpose::Peering, Quality::delay(ms(delay_ms)))
    }

    /// Add a site with this many edges, called `NAME-1` and so on, on the management network by lines of this quality.
    pub fn site(mut self, name: &str, region: Region, as_number: u32, edges: u8, management: Quality) -> Plan {
        if self.sites.is_empty() {
            self = self.line(MANAGEMENT, ORIGIN, Purpose::Management, Quality::delay(Duration::from_micros(200)));
        }
        let edges: Vec<String> = (1..=edges).map(|number| format!("{name}-{number}")).collect();
        self.sites.push(Site { name: name.to_owned(), region, as_number, edges: edges.clone() });
        for edge in &edges {
            // In the house: no delay worth the name, but a wire, so that it can be cut.
            self = self.line(name, edge, Purpose::Uplink, Quality::default());
            self = self.line(MANAGEMENT, edge, Purpose::Management, management);
        }
        self
    }

    /// Make a site a provider's customer in the site's region; see [`Purpose::Transit`] for the rank.
    pub fn transit(self, site: &str, provider: &str, delay_ms: u64, rank: u8) -> Plan {
        let region = self.sites.iter().find(|known| known.name == site).map_or(Region::Europe, |site| site.region);
        let router = router_name(provider, region);
        self.line(&router, site, Purpose::Transit { rank }, Quality::delay(ms(delay_ms)))
    }

    /// Add a client of a provider.
    pub fn client(mut self, name: &str, region: Region, provider: &str, delay_ms: u64) -> Plan {
        self.clients.push(Client { name: name.to_owned(), region, provider: provider.to_owned() });
        self.line(&router_name(provider, region), name, Purpose::Access, Quality::delay(ms(delay_ms)))
    }

    /// Another quality for all lines of a kind.
    pub fn every(mut self, is_one: impl Fn(Purpose) -> bool, change: impl Fn(Quality) -> Quality) -> Plan {
        for line in self.lines.iter_mut().filter(|line| is_one(line.purpose)) {
            line.quality = change(line.quality);
        }
        self
    }

    /// The providers' routers: name, provider, region.
    pub fn provider_routers(&self) -> impl Iterator<Item = (String, &Provider, Region)> {
        let of = |provider: &'_ Provider, region: Region| router_name(&provider.name, region);
        self.providers.iter().flat_map(move |provider| {
            provider.regions.iter().map(move |region| (of(provider, *region), provider, *region))
        })
    }

    /// The lines that end at a host, each with whether it is the first end.
    pub fn lines_of<'p>(&'p self, host: &'p str) -> impl Iterator<Item = (&'p Line, bool)> {
        self.lines
            .iter()
            .filter(move |line| line.first == host || line.second == host)
            .map(move |line| (line, line.first == host))
    }

    /// The networks that a site announces for its own hosts, IPv4 and IPv6.
    pub fn site_networks(&self, site: &str) -> Option<[Network; 2]> {
        let number = self.sites.iter().position(|known| known.name == site)?;
        let number = u8::try_from(number).ok()?;
        Some([(v4(198, 18, 16 + number, 0), 24), (v6(0x2001, 0xdb8, 0x1000 + u16::from(number), 0, 0), 48)])
    }

    /// Check that lines lead somewhere and that names fit.
    pub(super) fn check(&self) -> Result<(), LabError> {
        let mut known: Vec<String> = self.provider_routers().map(|(name, _, _)| name).collect();
        known.extend(self.sites.iter().map(|site| site.name.clone()));
        known.extend(self.sites.iter().flat_map(|site| site.edges.clone()));
        known.extend(self.clients.iter().map(|client| client.name.clone()));
        known.extend([MANAGEMENT.to_owned(), ORIGIN.to_owned()]);
        if let Some(name) = known.iter().find(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
            return Err(LabError::Invalid(format!("the name {name:?} cannot name an interface: 1 to 15 bytes")));
        }
        let lost = self.lines.iter().find(|line| !known.contains(&line.first) || !known.contains(&line.second));
        match lost {
            Some(line) => Err(LabError::Invalid(format!("a line {} – {} to nowhere", line.first, line.second))),
            None => Ok(()),
        }
    }

    fn line(mut self, first: &str, second: &str, purpose: Purpose, quality: Quality) -> Plan {
        let networks = self.networks(first, second, purpose);
        self.lines.push(Line { first: first.to_owned(), second: second.to_owned(), purpose, quality, networks });
        self
    }

    /// The networks of a new line. What the internet routes is public (RFC 2544's and RFC 3849's blocks); lines between
    /// routers and the management network are private.
    fn networks(&self, first: &str, second: &str, purpose: Purpose) -> [Network; 2] {
        let number = |count: usize| u8::try_from(count + 1).unwrap_or(u8::MAX);
        let alike = self.lines.iter().filter(|line| line.purpose == purpose).count();
        match purpose {
            Purpose::Uplink => {
                let edges = self.sites.iter().find(|site| site.name == first).map_or(&[][..], |site| &site.edges);
                let edge = edges.iter().position(|edge| edge == second).unwrap_or_default();
                let edge = u8::try_from(edge).unwrap_or(u8::MAX);
                let site = self.sites.iter().position(|site| site.name == first).unwrap_or_default();
                let site = u8::try_from(site).unwrap_or(u8::MAX);
                let third = 0x1000 + u16::from(site);
                [(v4(198, 18, 16 + site, edge * 4), 30), (v6(0x2001, 0xdb8, third, u16::from(edge) + 1, 0), 64)]
            }
            Purpose::Access => {
                let client = number(alike);
                [(v4(198, 19, client, 0), 24), (v6(0x2001, 0xdb8, 0x2000 + u16::from(client), 0, 0), 64)]
            }
            Purpose::Management => {
                let member = number(alike);
                [(v4(10, 255, member, 0), 30), (v6(0xfd00, 0xff, u16::from(member), 0, 0), 64)]
            }
            Purpose::Backbone | Purpose::Peering | Purpose::Transit { .. } => {
                let line = number(self.lines.len());
                [(v4(10, 1, line, 0), 30), (v6(0xfd00, 1, u16::from(line), 0, 0), 64)]
            }
        }
    }
}

impl Line {
    /// The addresses of an end, IPv4 and IPv6: the first has 1, the second 2.
    pub fn addresses(&self, first: bool) -> [IpAddr; 2] {
        let number = if first { 1 } else { 2 };
        self.networks.map(|(network, _)| match network {
            IpAddr::V4(network) => IpAddr::from(u32::from(network).wrapping_add(number).to_be_bytes()),
            IpAddr::V6(network) => IpAddr::from(u128::from(network).wrapping_add(u128::from(number)).to_be_bytes()),
        })
    }

    /// The name of the other end.
    pub fn other_end(&self, first: bool) -> &str {
        if first { &self.second } else { &self.first }
    }
}

/// What a provider's router in a region is called.
pub fn router_name(provider: &str, region: Region) -> String {
    format!("{provider}-{}", region.code())
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::from([a, b, c, d])
}

fn v6(a: u16, b: u16, c: u16, d: u16, last: u16) -> IpAddr {
    IpAddr::from([a, b, c, d, 0, 0, 0, last])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_standard_plan_is_sound() {
        let plan = Plan::standard();
        plan.check().unwrap();
        assert_eq!(plan.sites.len(), 5);
        assert_eq!(plan.sites.iter().map(|site| site.edges.len()).sum::<usize>(), 6);
        assert_eq!(plan.provider_routers().count(), 7);
        let networks: Vec<Network> = plan.lines.iter().flat_map(|line| line.networks).collect();
        assert_eq!(networks.iter().collect::<BTreeSet<_>>().len(), networks.len());
        let line = plan.lines.iter().find(|line| line.second == "ams-2" && line.purpose == Purpose::Uplink).unwrap();
        assert_eq!(line.addresses(false).map(|address| address.to_string()), ["198.18.16.6", "2001:db8:1000:2::2"]);
    }

    #[test]
    fn a_line_to_nowhere_is_named() {
        let error = Plan::standard().transit("ams", "dogwood", 1, 1).check().unwrap_err().to_string();
        assert!(error.contains("dogwood-eu – ams"), "{error}");
    }
}
