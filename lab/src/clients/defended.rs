//! Servers with their defences on, each as its manual recommends and with limits that no real client here needs to exceed:
//! the busiest resolver asks some 25 questions a second, the busiest /24 some 40.
//!
//! | server | its defences |
//! | --- | --- |
//! | Parapet | all filters with their defaults; sources are known good after [`KNOWN_GOOD_AFTER_S`] instead of 10 minutes |
//! | Knot | mod-rrl with `rate-limit: 200`, `slip: 2` (its manual's example), mod-cookies |
//! | NSD | `rrl-ratelimit: 200`, `rrl-slip: 2` (its defaults), `answer-cookie: yes` |
//! | BIND | `rate-limit` with 10 like answers, 200 answers of any kind, `slip 2`, window 15; cookies as by default |
//! | dnsdist before NSD | packet cache; dynamic blocks for a minute: 200 queries, 20 NXDOMAIN or SERVFAIL, 5 ANY or 100 kB of answers a second over ten seconds |
//!
//! dnsdist's figures are those of its manual's example but for the rates of queries (30) and of bytes (10,000), which the
//! busiest real resolvers come near to. All run on one core: Parapet with one worker, Knot with one for UDP, NSD with one
//! process, BIND with one thread, dnsdist with one listener.

use std::{fmt, ops::DerefMut};

use super::{
    Ground,
    ground::READY_DEADLINE,
    questions::{SIGNED, ZONE},
};
use crate::{CachePeer, Edge, Knot, LabError, Named, Nsd, Server, dns};

/// Real sources are known good after so many seconds: the warm-up is shorter than ten minutes.
pub const KNOWN_GOOD_AFTER_S: u32 = 5;
/// Answers a second for one prefix, where a peer limits them.
const PEERS_PER_S: u32 = 200;
/// BIND's, as its manual has them; what is alike is one name and type.
const BIND: &str = "  rate-limit { responses-per-second 10; all-per-second 200; slip 2; window 15; };";
/// Parapet's budget of questions to the origin for each zone: enough for all that real clients ask while the cache is empty.
pub const MISSES: &str = "misses_per_s_max = 2000\n";
/// dnsdist's dynamic blocks.
const DNSDIST: &str = "\
blocks = dynBlockRulesGroup()
blocks:setQueryRate(200, 10, \"queries\", 60)
blocks:setRCodeRate(DNSRCode.NXDOMAIN, 20, 10, \"NXDOMAIN\", 60)
blocks:setRCodeRate(DNSRCode.SERVFAIL, 20, 10, \"SERVFAIL\", 60)
blocks:setQTypeRate(DNSQType.ANY, 5, 10, \"ANY\", 60)
blocks:setResponseByteRate(100000, 10, \"bytes\", 60)
function maintenance()
  blocks:apply()
end
";

/// A server that can be attacked.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, clap::ValueEnum)]
pub enum Defender {
    /// Parapet.
    Parapet,
    /// CZ.NIC's Knot DNS with mod-rrl.
    Knot,
    /// NLnet Labs' NSD with response-rate limiting.
    Nsd,
    /// ISC's BIND with response-rate limiting.
    Bind,
    /// PowerDNS' dnsdist with dynamic blocks, before an NSD on the same core.
    Dnsdist,
}

/// How far Parapet's defences go; a peer's are on unless they are off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Mode {
    /// Nothing is looked at.
    Off,
    /// All is looked at, and nobody is answered otherwise.
    Observe,
    /// All is done.
    #[default]
    On,
}

/// How the zones get to the server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Fill {
    /// It has copies.
    #[default]
    Push,
    /// It asks the origin for what clients ask: Parapet and dnsdist.
    OnDemand,
}

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Its defences.
    pub mode: Mode,
    /// Its zones.
    pub fill: Fill,
    /// Parapet: more lines of `[node.NAME.defences]`, as in `client_per_s = 50`.
    pub defences: String,
    /// Parapet: the lines of `[zone.NAME.on_demand]` for both zones instead of [`MISSES`].
    pub on_demand: String,
}

/// A running server, with what it needs.
pub struct Defended {
    defender: Defender,
    edge: Option<Edge>,
    /// The one that clients ask is last.
    others: Vec<Box<dyn DerefMut<Target = Server> + Send + Sync>>,
}

impl Defender {
    /// All of them.
    pub const ALL: [Defender; 5] =
        [Defender::Parapet, Defender::Knot, Defender::Nsd, Defender::Bind, Defender::Dnsdist];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Defender::Parapet => "parapet",
            Defender::Knot => "knot",
            Defender::Nsd => "nsd",
            Defender::Bind => "bind",
            Defender::Dnsdist => "dnsdist",
        }
    }

    /// Start it on the ground and wait until it answers for all zones.
    pub fn start(self, ground: &Ground, setup: &Setup) -> Result<Defended, LabError> {
        let mut defended = Defended { defender: self, edge: None, others: Vec::new() };
        let limits = setup.mode != Mode::Off;
        if setup.fill == Fill::OnDemand && !matches!(self, Defender::Parapet | Defender::Dnsdist) {
            return Err(LabError::Invalid(format!("{self} does not fill zones on demand; parapet and dnsdist do")));
        }
        match self {
            Defender::Parapet => defended.edge = Some(parapet(ground, setup)?),
            Defender::Knot => defended.others.push(Box::new(knot(ground, limits)?)),
            Defender::Nsd => defended.others.push(Box::new(nsd(ground, limits, None)?)),
            Defender::Bind => defended.others.push(Box::new(bind(ground, limits)?)),
            Defender::Dnsdist => dnsdist(ground, limits, setup.fill, &mut defended)?,
        }
        ground.wait_for(defended.server())?;
        Ok(defended)
    }
}

impl fmt::Display for Defender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Defended {
    /// Which it is.
    pub fn defender(&self) -> Defender {
        self.defender
    }

    /// The server that clients ask.
    ///
    /// # Panics
    /// Never: one was started.
    pub fn server(&self) -> &Server {
        match (&self.edge, self.others.last()) {
            (Some(edge), _) => edge,
            (None, Some(server)) => server,
            (None, None) => unreachable!("a defended server was started"),
        }
    }

    /// Parapet's edge, if it is one.
    pub fn edge(&self) -> Option<&Edge> {
        self.edge.as_ref()
    }

    /// Processor time that it has used, with all its processes.
    pub fn cpu_time(&self) -> std::time::Duration {
        let others = self.others.iter().map(|server| server.process().cpu_time());
        others.sum::<std::time::Duration>()
            + self.edge.as_ref().map(|edge| edge.process().cpu_time()).unwrap_or_default()
    }

    /// End it.
    pub fn stop(self) -> Result<(), LabError> {
        if let Some(edge) = &self.edge {
            edge.stop()?;
        }
        self.others.iter().rev().try_for_each(|server| server.stop().map(|_| ()))
    }
}

fn parapet(ground: &Ground, setup: &Setup) -> Result<Edge, LabError> {
    let edge = Edge::at(ground.server());
    let state = edge.state_folder()?;
    // What was learned before is not to help now.
    let _ = std::fs::remove_dir_all(&state);
    let mut text = format!(
        "[node.edge]\nlisten = [\"{listen}\"]\nstate_dir = \"{state}\"\nworkers = 1\n{lanes}[node.edge.defences]\n\
         mode = \"{mode}\"\nknown_good_after_s = {KNOWN_GOOD_AFTER_S}\n{defences}[key.ground]\nkey_file = \"{key}\"\n\
         [origin.bind]\naddresses = [\"{origin}\"]\nkey = \"ground\"\n",
        listen = ground.address(),
        state = state.display(),
        lanes = ground.lanes_section("edge"),
        mode = match setup.mode {
            Mode::Off => "off",
            Mode::Observe => "observe",
            Mode::On => "on",
        },
        defences = setup.defences,
        key = ground.key().file.display(),
        origin = ground.origin().v4(),
    );
    for zone in [ZONE, SIGNED] {
        let mode = match setup.fill {
            Fill::Push => "push",
            Fill::OnDemand => "on-demand",
        };
        text.push_str(&format!("[zone.\"{zone}\"]\norigins = [\"bind\"]\nmode = \"{mode}\"\n"));
        if setup.fill == Fill::OnDemand {
            let budget = if setup.on_demand.is_empty() { MISSES } else { &setup.on_demand };
            text.push_str(&format!("[zone.\"{zone}\".on_demand]\n{budget}"));
        }
    }
    edge.file(&text, "edge").core(ground.server_core()).start()
}

fn knot(ground: &Ground, limits: bool) -> Result<Knot, LabError> {
    let mut knot = Knot::at(ground.server()).origin(ground.origin().v4()).key(ground.key()).core(ground.server_core());
    knot = knot.listen(ground.address().ip().to_owned().into()).secondary(ZONE).secondary(SIGNED);
    if limits {
        knot = knot.rate_limit(PEERS_PER_S);
    }
    knot.start()
}

fn nsd(ground: &Ground, limits: bool, listen: Option<std::net::IpAddr>) -> Result<Nsd, LabError> {
    let mut nsd = Nsd::at(ground.server()).origin(ground.origin().v4()).key(ground.key()).core(ground.server_core());
    nsd = nsd.option("minimal-responses: yes").secondary(ZONE).secondary(SIGNED);
    nsd = nsd.listen(listen.unwrap_or((*ground.address().ip()).into()));
    if limits {
        nsd = nsd.rate_limit(PEERS_PER_S);
    }
    nsd.start()
}

fn bind(ground: &Ground, limits: bool) -> Result<Named, LabError> {
    let origin = ground.origin().v4();
    let mut named = Named::at(ground.server()).key(ground.key()).core(ground.server_core());
    named = named.secondary(ZONE, origin).secondary(SIGNED, origin).options("  minimal-responses yes;");
    if limits {
        named = named.options(BIND);
    }
    named.start()
}

/// The NSD behind it limits nothing: it would take dnsdist for a single client.
fn dnsdist(ground: &Ground, limits: bool, fill: Fill, defended: &mut Defended) -> Result<(), LabError> {
    /// Where only dnsdist asks.
    const BEHIND: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let behind = match fill {
        Fill::Push => {
            defended.others.push(Box::new(nsd(ground, false, Some(BEHIND))?));
            // What dnsdist is told too early it would keep for a minute.
            for zone in ground.zones() {
                dns::wait_for_serial(ground.server(), BEHIND, zone, 1, READY_DEADLINE)?;
            }
            BEHIND
        }
        Fill::OnDemand => ground.origin().v4(),
    };
    let mut front = CachePeer::dnsdist(ground.server(), behind).listen((*ground.address().ip()).into());
    if limits {
        front = front.rules(DNSDIST);
    }
    defended.others.push(Box::new(front.core(ground.server_core()).start()?));
    Ok(())
}
