//! Benchmarks: each puts Parapet and its peers into the same network in the same run and says what it measured.

mod answers;
mod change;
mod machine;
mod report;
mod rig;
mod start;
mod transfer;

use clap::{Args, ValueEnum};

use crate::subject::Subject;

/// The benchmarks with what they measure.
pub(crate) const ALL: [(&str, &str); 4] = [
    ("answers", "UDP answers on one core: CPU per answer and share answered at rising load"),
    ("transfer", "a large zone by AXFR: time to serving it, memory per record"),
    ("change", "one record changed by nsupdate: time until it is answered, queries lost meanwhile"),
    ("start", "from exec to the first answer with a large zone on disk and no origin"),
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
}

/// What to measure, of whom, how thoroughly.
///
/// Figures of a busy machine are worth nothing: build first, then measure with nothing else running. Each figure is
/// the median of the repeats. Everything is bounded: the largest benchmark with its defaults ends within ten minutes.
#[derive(Args)]
pub(crate) struct Options {
    /// The benchmark.
    name: Name,
    /// Print one JSON object: {"bench", "machine", "rows": [{"subject", "case", "metric", "value", "unit"}]}.
    #[arg(long)]
    json: bool,
    /// Whom to measure.
    #[arg(long, value_delimiter = ',', default_value = "parapet,nsd,knot")]
    subjects: Vec<Subject>,
    /// Repeats of the whole measurement; 3 unless told otherwise, for `change` 1.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20))]
    repeats: Option<u32>,
    /// Names in the zone [default: 100000 for answers, 1000000 otherwise].
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    records: Option<u32>,
    /// answers: queries per second to offer.
    #[arg(long, value_delimiter = ',', default_value = "50000,100000,200000,300000,400000,600000")]
    loads: Vec<u32>,
    /// answers: seconds at each load.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=30))]
    seconds: u32,
    /// change: how many changes.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    changes: u32,
}

impl Options {
    fn repeats(&self) -> u32 {
        self.repeats.unwrap_or(if self.name == Name::Change { 1 } else { 3 })
    }

    fn records(&self) -> u32 {
        self.records.unwrap_or(if self.name == Name::Answers { 100_000 } else { 1_000_000 })
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let report = match options.name {
        Name::Answers => answers::run(options)?,
        Name::Transfer => transfer::run(options)?,
        Name::Change => change::run(options)?,
        Name::Start => start::run(options)?,
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
