//! Benchmarks: each puts Parapet and its peers into the same network in the same run and says what it measured.

mod answers;
mod attack;
mod catalog;
mod change;
mod failover;
mod filters;
mod load;
mod machine;
mod ondemand;
mod report;
mod rig;
mod start;
mod transfer;

use clap::{Args, ValueEnum};
use parapet_lab::{Lanes, attack::Attack};

use crate::subject::Subject;

/// The benchmarks with what they measure.
pub(crate) const ALL: [(&str, &str); 9] = [
    ("answers", "UDP answers on one core: CPU per answer and share answered at rising load"),
    ("transfer", "a large zone by AXFR: time to serving it, memory per record"),
    ("change", "one record changed by nsupdate: time until it is answered, queries lost meanwhile"),
    ("start", "from exec to the first answer with a large zone on disk and no origin"),
    ("catalog", "many small zones from a catalog (RFC 9432): time until all are served, CPU, memory"),
    ("ondemand", "a cache before an origin: hit rate of a realistic mix, CPU per hit, beside dnsdist and unbound"),
    ("failover", "an edge of many is killed, frozen, drained, cut off or stale: queries lost, beside BIRD"),
    ("attack", "real clients beside every attack at rising loads, beside peers with their defences on"),
    ("filters", "the filters of floods: ns a verdict and memory, with up to 10 million sources, beside governor"),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Name {
    /// UDP answers on one core: CPU per answer and share answered at rising load.
    Answers,
    /// A large zone by AXFR: time to serving it, memory per record.
    Transfer,
    /// One record changed by nsupdate: time until it is answered, queries lost meanwhile.
    Change,
    /// From exec to the first answer with a large zone on disk and no origin.
    Start,
    /// Many small zones from a catalog (RFC 9432): time until all are served, CPU, memory.
    Catalog,
    /// A cache before an origin: hit rate of a realistic mix, CPU per hit, beside dnsdist and unbound.
    Ondemand,
    /// An edge of many is killed, frozen, drained, cut off or stale: queries lost, beside BIRD.
    Failover,
    /// Real clients beside every attack at rising loads, beside peers with their defences on.
    Attack,
    /// The filters of floods: ns a verdict and memory, with up to 10 million sources, beside governor.
    Filters,
}

/// What to measure, of whom, how thoroughly.
///
/// Figures of a busy machine are worth nothing: build first, then measure with nothing else running. Each figure is
/// the median of the repeats. Everything is bounded: all but one of the benchmarks end within ten minutes with
/// their defaults; attack takes 28.
#[derive(Args)]
pub(crate) struct Options {
    /// The benchmark.
    name: Name,
    /// Print one JSON object: {"bench", "machine", "rows": [{"subject", "case", "metric", "value", "unit"}]}.
    #[arg(long)]
    json: bool,
    /// Whom to measure [default: parapet,dnsdist,unbound for ondemand, parapet,sockets,dnsdist,unbound with the kernel lane,
    /// parapet,bird for failover, parapet,knot,nsd,bind,dnsdist for attack, parapet,knot-xdp,nsd,knot,sockets,generic,echo for
    /// answers with the kernel lane, parapet,nsd,knot otherwise].
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// answers, change, ondemand, attack: by which lanes Parapet answers. With kernel, what arrives at the server is also
    /// worked on by the server's core, whoever the server is.
    #[arg(long, visible_alias = "lanes", value_enum, default_value_t)]
    lane: Lanes,
    /// Repeats of the whole measurement [default: 1 for change, 2 for catalog and ondemand, 3 otherwise].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20))]
    repeats: Option<u32>,
    /// Names in the zone [default: 100000 for answers and ondemand, 1000000 otherwise].
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    records: Option<u32>,
    /// answers, ondemand: queries per second to offer [default: 50000 to 600000, with the kernel lane 60000 to 1000000];
    /// attack: its packets per second [default: 50000 to 400000, with the kernel lane to 600000].
    #[arg(long, value_delimiter = ',')]
    loads: Vec<u32>,
    /// answers, ondemand, attack: seconds at each load [default: 3, for ondemand 2, for attack 5].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=30))]
    seconds: Option<u32>,
    /// change: how many changes.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    changes: u32,
    /// catalog: how many zones.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    members: u32,
    /// failover: how often each case happens.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    times: u32,
    /// failover: what happens [default: all].
    #[arg(long, value_delimiter = ',')]
    cases: Vec<failover::Measured>,
    /// failover: in a network of two edges and one region instead of the internet.
    #[arg(long)]
    small: bool,
    /// attack: which attacks [default: all; with --on-demand, those that a cache has to fear].
    #[arg(long, value_delimiter = ',')]
    attacks: Vec<Attack>,
    /// attack: seconds of rest after each attack, so that no defence is still armed by the one before.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(4..=120))]
    rest: u32,
    /// attack: seconds in which a subject learns what is normal, and who is good.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..=600))]
    warm_up: u32,
    /// attack: zones that are filled on demand, and what the origin is asked; parapet and dnsdist do that.
    #[arg(long)]
    on_demand: bool,
}

impl Options {
    fn subjects(&self) -> &[Subject] {
        match self.name {
            _ if !self.subjects.is_empty() => &self.subjects,
            Name::Ondemand if self.lane == Lanes::Kernel => {
                &[Subject::Parapet, Subject::Sockets, Subject::Dnsdist, Subject::Unbound]
            }
            Name::Ondemand => &[Subject::Parapet, Subject::Dnsdist, Subject::Unbound],
            Name::Failover => &[Subject::Parapet, Subject::Bird],
            Name::Filters => &[Subject::Parapet],
            Name::Attack if self.on_demand => &[Subject::Parapet, Subject::Dnsdist],
            Name::Answers if self.lane == Lanes::Kernel => &[
                Subject::Parapet,
                Subject::KnotXdp,
                Subject::Nsd,
                Subject::Knot,
                Subject::Sockets,
                Subject::Generic,
                Subject::Echo,
            ],
            Name::Attack => &[Subject::Parapet, Subject::Knot, Subject::Nsd, Subject::Bind, Subject::Dnsdist],
            _ => &[Subject::Parapet, Subject::Nsd, Subject::Knot],
        }
    }

    fn repeats(&self) -> u32 {
        self.repeats.unwrap_or(match self.name {
            Name::Change => 1,
            Name::Catalog | Name::Ondemand => 2,
            _ => 3,
        })
    }

    fn records(&self) -> u32 {
        let few = matches!(self.name, Name::Answers | Name::Ondemand);
        self.records.unwrap_or(if few { 100_000 } else { 1_000_000 })
    }

    fn loads(&self) -> &[u32] {
        match self.name {
            _ if !self.loads.is_empty() => &self.loads,
            Name::Ondemand => &[50_000, 100_000, 200_000, 400_000],
            Name::Attack if self.lane == Lanes::Kernel => &attack::LOADS_KERNEL,
            Name::Attack => &attack::LOADS,
            Name::Answers if self.lane == Lanes::Kernel => {
                &[60_000, 100_000, 200_000, 300_000, 400_000, 600_000, 800_000, 1_000_000]
            }
            _ => &[50_000, 100_000, 200_000, 300_000, 400_000, 600_000],
        }
    }

    fn cases(&self) -> &[failover::Measured] {
        if self.cases.is_empty() { &failover::Measured::ALL } else { &self.cases }
    }

    fn attacks(&self) -> &[Attack] {
        match self.on_demand {
            _ if !self.attacks.is_empty() => &self.attacks,
            true => &attack::ATTACKS_ON_DEMAND,
            false => &attack::ATTACKS,
        }
    }

    fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(match self.name {
            Name::Ondemand => 2,
            Name::Answers if self.lane == Lanes::Kernel => 2,
            Name::Attack => attack::SECONDS,
            _ => 3,
        })
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let report = match options.name {
        Name::Answers => answers::run(options)?,
        Name::Transfer => transfer::run(options)?,
        Name::Change => change::run(options)?,
        Name::Start => start::run(options)?,
        Name::Catalog => catalog::run(options)?,
        Name::Ondemand => ondemand::run(options)?,
        Name::Failover => failover::run(options)?,
        Name::Filters => filters::run(options)?,
        Name::Attack => attack::run(options)?,
    };
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

/// What is going on, for who waits; never on standard output.
fn progress(what: &str) {
    eprintln!("… {what}");
}
