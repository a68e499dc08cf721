//! Figures: collected, reduced to medians, printed as tables with ratios or as JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use serde::Serialize;

use super::machine;
use crate::subject::Subject;

/// All figures of a benchmark.
#[derive(Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    machine: String,
    rows: Vec<Row>,
    /// What has to be known to read them, and what could not be measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip)]
    compare: Compare,
}

/// Which ratios are printed.
#[derive(Clone, Copy)]
enum Compare {
    /// To each peer.
    Each,
    /// To the best of the peers; of the metrics `lower` less is better, of the metrics `bare` a ratio says nothing.
    Best { lower: &'static [&'static str], bare: &'static [&'static str] },
}

/// One figure.
#[derive(Clone, Serialize)]
struct Row {
    subject: String,
    case: String,
    metric: &'static str,
    value: f64,
    unit: &'static str,
}

/// Figures of the repeats, until they become medians.
pub(crate) struct Samples {
    bench: &'static str,
    machine: String,
    samples: Vec<Row>,
    notes: Vec<String>,
    compare: Compare,
}

impl Samples {
    pub(crate) fn new(bench: &'static str, subjects: &[Subject]) -> Samples {
        // Some benchmarks keep to one core from here on; the machine has all of them.
        let machine = machine::describe(subjects);
        Samples { bench, machine, samples: Vec::new(), notes: Vec::new(), compare: Compare::Each }
    }

    /// Print the ratio to the best of the peers instead of one to each; of the metrics `lower` less is better, of the metrics
    /// `bare` a ratio says nothing.
    pub(crate) fn against_the_best(self, lower: &'static [&'static str], bare: &'static [&'static str]) -> Samples {
        Samples { compare: Compare::Best { lower, bare }, ..self }
    }

    /// Something that has to be known to read the figures.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// One figure of one repeat.
    pub(crate) fn add(&mut self, subject: &str, case: &str, metric: &'static str, value: f64, unit: &'static str) {
        self.samples.push(Row { subject: subject.to_owned(), case: case.to_owned(), metric, value, unit });
    }

    /// The median of the repeats of every figure, in the order in which they first came.
    pub(crate) fn finish(self) -> Report {
        let mut rows: Vec<(Row, Vec<f64>)> = Vec::new();
        for sample in self.samples {
            let same =
                |row: &Row| row.subject == sample.subject && row.case == sample.case && row.metric == sample.metric;
            match rows.iter_mut().find(|(row, _)| same(row)) {
                Some((_, values)) => values.push(sample.value),
                None => rows.push((sample.clone(), vec![sample.value])),
            }
        }
        let rows = rows.into_iter().map(|(row, values)| Row { value: round(median(values)), ..row }).collect();
        Report { bench: self.bench, machine: self.machine, rows, notes: self.notes, compare: self.compare }
    }
}

/// The median; of an even number of values the mean of the two in the middle; NaN of none.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    let low = quantile(values.clone(), 0.5 - 1e-9);
    let high = quantile(values, 0.5 + 1e-9);
    (low + high) / 2.0
}

/// The smallest value that at least this share of the values does not exceed; NaN of none.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil().max(1.0) as usize - 1;
    values.get(rank.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Four digits behind the point are more than any of the clocks has to say.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl Display for Report {
    /// A table for each metric: cases down, subjects across, then the ratios of Parapet to each peer.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "bench {}\n{}", self.bench, self.machine)?;
        let mut metrics: Vec<(&str, &str)> = Vec::new();
        for row in &self.rows {
            if !metrics.contains(&(row.metric, row.unit)) {
                metrics.push((row.metric, row.unit));
            }
        }
        metrics.into_iter().try_for_each(|(metric, unit)| self.table(f, metric, unit))?;
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

impl Report {
    fn table(&self, f: &mut Formatter<'_>, metric: &str, unit: &str) -> fmt::Result {
        let rows = || self.rows.iter().filter(|row| row.metric == metric);
        let mut subjects: Vec<&str> = Vec::new();
        let mut cases: Vec<&str> = Vec::new();
        let mut values = BTreeMap::new();
        for row in rows() {
            if !subjects.contains(&row.subject.as_str()) {
                subjects.push(&row.subject);
            }
            if !cases.contains(&row.case.as_str()) {
                cases.push(&row.case);
            }
            values.insert((row.case.as_str(), row.subject.as_str()), row.value);
        }
        let own = Subject::Parapet.name();
        let peers: Vec<&str> = subjects.iter().copied().filter(|subject| is_peer(subject)).collect();
        let compare = subjects.contains(&own) && !peers.is_empty() && !self.is_bare(metric);
        write!(f, "\n{:<28}", format!("{metric} ({unit})"))?;
        subjects.iter().try_for_each(|subject| write!(f, "{subject:>12}"))?;
        let columns = if compare { self.columns(&peers) } else { Vec::new() };
        columns.iter().try_for_each(|column| write!(f, "{column:>17}"))?;
        writeln!(f)?;
        for case in cases {
            write!(f, "{case:<28}")?;
            let value = |subject: &str| values.get(&(case, subject)).copied();
            subjects.iter().try_for_each(|subject| write!(f, "{:>12}", number(value(subject))))?;
            if compare {
                let peers: Vec<Option<f64>> = peers.iter().map(|peer| value(peer)).collect();
                self.compared_with(metric, &peers).into_iter().try_for_each(|peer| {
                    let ratio = value(own).zip(peer).map(|(own, peer)| own / peer);
                    write!(f, "{:>17}", printed(ratio))
                })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn is_bare(&self, metric: &str) -> bool {
        matches!(self.compare, Compare::Best { bare, .. } if bare.contains(&metric))
    }

    /// The headings of the ratios.
    fn columns(&self, peers: &[&str]) -> Vec<String> {
        let own = Subject::Parapet.name();
        match self.compare {
            Compare::Each => peers.iter().map(|peer| format!("{own}/{peer}")).collect(),
            Compare::Best { .. } => vec![format!("{own}/best")],
        }
    }

    /// What the own figure is divided by.
    fn compared_with(&self, metric: &str, peers: &[Option<f64>]) -> Vec<Option<f64>> {
        let Compare::Best { lower, .. } = self.compare else { return peers.to_vec() };
        let known = peers.iter().flatten().copied();
        vec![if lower.contains(&metric) { known.reduce(f64::min) } else { known.reduce(f64::max) }]
    }
}

fn printed(ratio: Option<f64>) -> String {
    ratio.filter(|ratio| ratio.is_finite()).map_or("–".into(), |ratio| format!("{ratio:.2} ×"))
}

fn is_peer(subject: &str) -> bool {
    const PEERS: [Subject; 9] = [
        Subject::Nsd,
        Subject::Knot,
        Subject::KnotXdp,
        Subject::Sockets,
        Subject::Echo,
        Subject::Bind,
        Subject::Dnsdist,
        Subject::Unbound,
        Subject::Bird,
    ];
    subject == super::filters::PEER || PEERS.iter().any(|peer| peer.name() == subject)
}

/// With the digits that a reader can use.
fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if !value.is_finite() => "–".to_owned(),
        Some(value) if value.abs() >= 1000.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_become_medians_and_ratios() {
        let mut samples = Samples::new("answers", &[]);
        for (own, peer) in [(1.0, 4.0), (9.0, 2.0), (3.0, 6.0)] {
            samples.add("parapet", "50000/s", "cpu_per_answer", own, "µs");
            samples.add("nsd", "50000/s", "cpu_per_answer", peer, "µs");
        }
        let report = samples.finish();
        assert_eq!(report.rows.iter().map(|row| row.value).collect::<Vec<_>>(), [3.0, 4.0]);
        assert!(report.to_string().contains("0.75 ×"), "{report}");
    }

    #[test]
    fn the_best_peer_is_the_one_to_compare_with() {
        let mut samples = Samples::new("attack", &[]).against_the_best(&["origin"], &["sent"]);
        for (subject, share, origin) in [("parapet", 90.0, 20.0), ("knot", 60.0, 80.0), ("nsd", 45.0, 40.0)] {
            samples.add(subject, "client 50000/s", "first_try", share, "%");
            samples.add(subject, "client 50000/s", "origin", origin, "1/s");
            samples.add(subject, "client 50000/s", "sent", origin, "1/s");
        }
        samples.note("nsd: it has died".to_owned());
        samples.note("nsd: it has died".to_owned());
        let printed = samples.finish().to_string();
        for expected in ["parapet/best", "1.50 ×", "0.50 ×"] {
            assert!(printed.contains(expected), "{expected} in\n{printed}");
        }
        assert_eq!(printed.matches("it has died").count(), 1);
        assert_eq!(printed.matches("parapet/best").count(), 2);
    }

    #[test]
    fn quantiles_take_a_value_that_was_there() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(quantile(values.clone(), 0.99), 198.0);
        assert_eq!(quantile(values.clone(), 1.0), 200.0);
        assert_eq!(median(values), 100.5);
        assert!(median(vec![]).is_nan());
    }
}
