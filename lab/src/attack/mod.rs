//! Attacks: packets and connections as those who attack name servers send them, at a rate that does not wait for answers,
//! the same ones for the same seed.
//!
//! An [`Attack`] on a [`Target`] is [started](Attack::start) and runs on a core of its own until it is
//! [stopped](RunningAttack::stop); what was [sent](Sent) is recorded for each second, and what the target answered to
//! addresses that were attacked or pretended is counted and thrown away by [`Arrivals`]. Or the packets are
//! [written](write_pcap) into a file for others to replay.
//!
//! | addresses | whose |
//! | --- | --- |
//! | 192.0.2.0/24 | victims of reflection |
//! | 203.0.113.0/24 | one flooding client, one flooding prefix |
//! | 198.19.0.0/16 | who attacks by TCP: local in the attacker's namespace |
//! | 198.18.0.0/16 | real clients: an attack takes them where it comes through real resolvers, from ports below 32768 |
//! | all other public ones | random sources |

mod address;
mod arrivals;
mod crowd;
mod generator;
mod malformed;
mod packets;
mod pcap;
mod sender;
mod tcp;

use std::{fmt, net::Ipv4Addr, time::Duration};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use serde::Serialize;

use crate::{LabError, Namespace, Rtype, clients, clients::Ground, dns};

pub use arrivals::{Arrivals, Arrived, Counted};
pub use packets::{PORT_MAX, PORT_MIN};
pub use pcap::write_pcap;
pub use sender::{RunningAttack, Second, Sent};

/// The victim of a reflection, and an address of the victims' prefix: of the first network for documentation (RFC 5737).
pub const VICTIM: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// The addresses, 16 bits of prefix, from which TCP attacks come.
pub const CONNECTING: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 0);

/// Real resolvers that an attack comes through: the busiest, which the real clients are a part of.
pub const RESOLVERS: usize = 2000;

/// What is done to a name server.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// One client floods with names that exist.
    Client,
    /// All addresses of one /24 flood with names that exist.
    Prefix,
    /// Random sources ask for names that exist.
    RandomSources,
    /// Random sources ask for random names.
    RandomNames,
    /// Random names through real resolvers, each under any limit for one source.
    Resolvers,
    /// One victim's address as source, and questions with large answers.
    Reflection,
    /// Addresses of a victim's /24 as sources, and questions with large answers.
    ReflectionPrefix,
    /// Broken packets of all kinds, from random sources.
    Malformed,
    /// Idle, slow and very many TCP connections, and queries in heaps on them.
    Tcp,
    /// Random names, random sources, reflection, broken packets, a prefix, a client and connections, all at once.
    Mixture,
    /// No attack: resolvers from everywhere want the same few names.
    FlashCrowd,
}

impl Attack {
    /// All of them.
    pub const ALL: [Attack; 11] = [
        Attack::Client,
        Attack::Prefix,
        Attack::RandomSources,
        Attack::RandomNames,
        Attack::Resolvers,
        Attack::Reflection,
        Attack::ReflectionPrefix,
        Attack::Malformed,
        Attack::Tcp,
        Attack::Mixture,
        Attack::FlashCrowd,
    ];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Attack::Client => "client",
            Attack::Prefix => "prefix",
            Attack::RandomSources => "random-sources",
            Attack::RandomNames => "random-names",
            Attack::Resolvers => "resolvers",
            Attack::Reflection => "reflection",
            Attack::ReflectionPrefix => "reflection-prefix",
            Attack::Malformed => "malformed",
            Attack::Tcp => "tcp",
            Attack::Mixture => "mixture",
            Attack::FlashCrowd => "flash-crowd",
        }
    }

    /// A sentence on it.
    pub fn about(self) -> &'static str {
        match self {
            Attack::Client => "one client floods with names that exist",
            Attack::Prefix => "all addresses of one /24 flood with names that exist",
            Attack::RandomSources => "random sources ask for names that exist",
            Attack::RandomNames => "random sources ask for random names",
            Attack::Resolvers => "random names through real resolvers, each under any limit for one source",
            Attack::Reflection => "one victim's address as source, and questions with large answers",
            Attack::ReflectionPrefix => "addresses of a victim's /24 as sources, and questions with large answers",
            Attack::Malformed => "broken packets of all kinds, from random sources",
            Attack::Tcp => "idle, slow and very many TCP connections, and queries in heaps on them",
            Attack::Mixture => {
                "random names and sources, reflection, broken packets, a prefix, a client, TCP: all at once"
            }
            Attack::FlashCrowd => "no attack: resolvers from everywhere want the same few names",
        }
    }

    /// Whether what is sent is wanted, and should be answered.
    pub fn is_wanted(self) -> bool {
        self == Attack::FlashCrowd
    }

    /// Whether it is made of packets that do not depend on answers, as a file of packets is.
    pub fn has_packets(self) -> bool {
        self != Attack::Tcp
    }

    /// The part of its rate that goes by TCP, from 0 to 1.
    pub fn tcp_share(self) -> f64 {
        match self {
            Attack::Tcp => 1.0,
            Attack::Mixture => 0.05,
            _ => 0.0,
        }
    }

    /// Begin it; it goes on until it is stopped, or for as long as `pace` says.
    pub fn start(self, target: &Target, pace: &Pace) -> Result<RunningAttack, LabError> {
        sender::start(self, target, pace)
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How much, how long, and which of all the attacks of its kind.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Packets a second; queries and connections a second by TCP.
    pub rate_per_s: u32,
    /// It ends by itself after this time.
    pub lasts: Option<Duration>,
    /// Another seed gives other names, sources and breaks; the same gives the same packets.
    pub seed: u64,
    /// The core that sends.
    pub core: Option<usize>,
}

/// Whom an attack is on, and from where.
#[derive(Clone)]
pub struct Target {
    /// Where the attack comes from.
    pub namespace: Namespace,
    /// The interface there that leads to the target.
    pub interface: String,
    /// That interface's address.
    pub source_mac: [u8; 6],
    /// The address of the target's interface.
    pub target_mac: [u8; 6],
    /// The target's address.
    pub address: Ipv4Addr,
    /// The target's port.
    pub port: u16,
    /// Networks whose addresses are nobody's pretended ones: packets to them are left alone by [`Arrivals`], but for
    /// answers to the ports of attacks. The lab's own and the real clients', as nft writes them.
    pub own: Vec<String>,
    /// What there is to ask for.
    pub facts: Facts,
}

/// What an attacker knows about the zones of its target.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The zone.
    pub zone: String,
    /// Names in it that exist, and have A records or none of the type that is asked for; the most popular first.
    pub names: Vec<String>,
    /// Random names are asked for below this name: the zone, or a name in it.
    pub suffix: String,
    /// Signed zones.
    pub signed: Vec<String>,
    /// Names with large answers, and the type that gives them.
    pub large: Vec<(String, Rtype)>,
    /// Real resolvers, which attacks may come through.
    pub resolvers: Vec<Ipv4Addr>,
}

impl Target {
    /// The server at `address`, at the other end of the wire that leaves `namespace` by `interface`.
    pub fn across(
        namespace: &Namespace,
        interface: &str,
        server: &Namespace,
        server_interface: &str,
        address: Ipv4Addr,
        facts: Facts,
    ) -> Result<Target, LabError> {
        Ok(Target {
            namespace: namespace.clone(),
            interface: interface.to_owned(),
            source_mac: mac(namespace, interface)?,
            target_mac: mac(server, server_interface)?,
            address,
            port: dns::PORT,
            own: ["10.0.0.0/8", "198.18.0.0/15"].map(str::to_owned).to_vec(),
            facts,
        })
    }
}

impl Target {
    /// The server of this ground, attacked from where its real clients are.
    pub fn on(ground: &Ground) -> Result<Target, LabError> {
        let numbered = |prefix: &str, count: u32, digits: usize, zone: &str| -> Vec<String> {
            (0..count).map(|number| format!("{prefix}{number:0digits$}.{zone}")).collect()
        };
        let large = numbered("large", clients::LONG_NAMES, 2, clients::ZONE);
        let facts = Facts {
            zone: clients::ZONE.to_owned(),
            names: numbered("n", clients::NAMES, 6, clients::ZONE),
            suffix: clients::ZONE.to_owned(),
            signed: vec![clients::SIGNED.to_owned()],
            large: large.into_iter().map(|name| (name, Rtype::TXT)).collect(),
            resolvers: clients::addresses(RESOLVERS),
        };
        let address = *ground.address().ip();
        Target::across(ground.client(), "server", ground.server(), "client", address, facts)
    }
}

/// The link's own address of an interface.
fn mac(namespace: &Namespace, interface: &str) -> Result<[u8; 6], LabError> {
    namespace.enter(|| {
        let link = link_of(interface)?;
        link.addr().ok_or_else(|| LabError::Invalid(format!("{interface} has no address of its own")))
    })?
}

/// The interface as packet sockets know it; of the namespace of the current thread.
fn link_of(interface: &str) -> Result<nix::sys::socket::LinkAddr, LabError> {
    let all = getifaddrs().map_err(LabError::errno("listing interfaces"))?;
    all.filter(|found| found.interface_name == interface && found.flags.contains(InterfaceFlags::IFF_UP))
        .find_map(|found| found.address?.as_link_addr().copied())
        .ok_or_else(|| LabError::Invalid(format!("there is no interface {interface} that is up")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lab;

    /// A target that exists as far as the making of packets goes.
    pub(super) fn target() -> Target {
        let lab = Lab::new("attack-target").unwrap();
        let facts = Facts {
            zone: "example.com".to_owned(),
            names: (0..100).map(|number| format!("n{number}.example.com")).collect(),
            suffix: "example.com".to_owned(),
            signed: vec!["signed.example".to_owned()],
            large: vec![("big.example.com".to_owned(), Rtype::TXT)],
            resolvers: (1..=20).map(|host| Ipv4Addr::new(198, 18, 0, host)).collect(),
        };
        Target {
            namespace: lab.namespace("attacker").unwrap(),
            interface: "server".to_owned(),
            source_mac: [2, 0, 0, 0, 0, 1],
            target_mac: [2, 0, 0, 0, 0, 2],
            address: Ipv4Addr::new(10, 1, 0, 1),
            port: 53,
            own: Vec::new(),
            facts,
        }
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        use clap::ValueEnum;
        for attack in Attack::ALL {
            assert_eq!(Attack::from_str(attack.name(), false), Ok(attack));
            assert_eq!(serde_json::to_value(attack).unwrap(), attack.name());
        }
        assert_eq!(Attack::value_variants(), Attack::ALL);
    }
}
