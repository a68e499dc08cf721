//! `bench failover`: every region asks 200 times a second while an edge is killed, frozen, drained, cut off, or serves what
//! is old: how many queries are lost, and for how long.
//!
//! The same daemon answers for both subjects. Parapet announces for itself; for the peer, BIRD on the edge's host does,
//! told by anycast-healthchecker. An event ends when all regions are answered again, by others; then the edge is repaired,
//! and the next event begins when all are answered as before. What is lost on the way back is counted apart.

mod events;
mod flaps;
mod stage;

use anyhow::Context;
use clap::ValueEnum;
use parapet_lab::{failover::Case, prober::Record};

use super::{
    Options, progress,
    report::{Report, Samples, quantile},
};
use crate::subject::Subject;
use events::Event;
use stage::Stage;

/// What can be measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Measured {
    /// The daemon is killed.
    Kill,
    /// All processes of the edge stop.
    Freeze,
    /// It is taken out of service as planned.
    Drain,
    /// Its uplink dies silently.
    Cut,
    /// It cannot refresh a zone that has changed.
    Stale,
    /// Its health flaps 100 times in a minute: how many changes the router is sent.
    Flaps,
}

impl Measured {
    pub(crate) const ALL: [Measured; 6] =
        [Measured::Kill, Measured::Freeze, Measured::Drain, Measured::Cut, Measured::Stale, Measured::Flaps];

    fn case(self) -> Option<Case> {
        match self {
            Measured::Kill => Some(Case::Kill),
            Measured::Freeze => Some(Case::Freeze),
            Measured::Drain => Some(Case::Drain),
            Measured::Cut => Some(Case::Cut),
            Measured::Stale => Some(Case::Stale),
            Measured::Flaps => None,
        }
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut samples = Samples::new("failover", options.subjects());
    for &subject in options.subjects() {
        progress(&format!("{}: building the network", subject.name()));
        let mut stage = Stage::build(subject, options.small)?;
        for case in options.cases().iter().filter_map(|measured| measured.case()) {
            let events = events::run(&mut stage, case, options.times)
                .with_context(|| format!("{}, {}", subject.name(), case.name()))?;
            add(&mut samples, subject, case, &events);
        }
        add_lateness(&mut samples, subject, &stage.prober.records(0, 0));
        drop(stage);
        if options.cases().contains(&Measured::Flaps) {
            progress(&format!("{}: its health flaps for a minute", subject.name()));
            flaps::run(subject, &mut samples)?;
        }
    }
    Ok(samples.finish())
}

/// Every event counts, the regions that it did not concern among them: nothing is lost there.
fn add(samples: &mut Samples, subject: Subject, case: Case, events: &[Event]) {
    let mut add = |metrics: [&'static str; 3], unit, values: Vec<f64>| {
        for (metric, share) in metrics.into_iter().zip([0.5, 0.99, 1.0]) {
            samples.add(subject.name(), case.name(), metric, quantile(values.clone(), share), unit);
        }
    };
    let of = |value: fn(&Event) -> f64| events.iter().map(value).collect::<Vec<f64>>();
    add(["lost_median", "lost_p99", "lost_worst"], "queries", of(|event| event.lost as f64));
    let unanswered = of(|event| event.unanswered_us as f64 / 1e3);
    add(["unanswered_median", "unanswered_p99", "unanswered_worst"], "ms", unanswered);
    add(
        ["return_lost_median", "return_lost_p99", "return_lost_worst"],
        "queries",
        of(|event| event.return_lost as f64),
    );
    samples.add(subject.name(), case.name(), "events", events.len() as f64, "events");
    samples.add(subject.name(), case.name(), "lost_of_all", of(|event| event.lost as f64).iter().sum(), "queries");
}

/// How late the prober was: what is shorter than that is no finding.
fn add_lateness(samples: &mut Samples, subject: Subject, records: &[Record]) {
    let worst = |of: fn(&Record) -> u64| records.iter().map(of).max().unwrap_or(0) as f64 / 1e3;
    samples.add(subject.name(), "all", "prober_late_p99", worst(|record| record.lateness.p99_us), "ms");
    samples.add(subject.name(), "all", "prober_late_worst", worst(|record| record.lateness.max_us), "ms");
}
