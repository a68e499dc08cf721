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
    subjects: Vec<Subject>,
    samples: Vec<Row>,
}

impl Samples {
    pub(crate) fn new(bench: &'static str, subjects: &[Subject]) -> Samples {
        Samples { bench, subjects: subjects.to_vec(), samples: Vec::new() }
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
        Report { bench: self.bench, machine: machine::describe(&self.subjects), rows }
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
        metrics.into_iter().try_for_each(|(metric, unit)| self.table(f, metric, unit))
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
        let compare = subjects.contains(&own) && !peers.is_empty();
        write!(f, "\n{:<28}", format!("{metric} ({unit})"))?;
        for subject in &subjects {
            write!(f, "{subject:>12}")?;
        }
        if compare {
            for peer in &peers {
                write!(f, "{:>17}", format!("{own}/{peer}"))?;
            }
        }
        writeln!(f)?;
        for case in cases {
            write!(f, "{case:<28}")?;
            for subject in &subjects {
                write!(f, "{:>12}", number(values.get(&(case, *subject)).copied()))?;
            }
            if compare {
                for peer in &peers {
                    let ratio = values.get(&(case, own)).zip(values.get(&(case, *peer))).map(|(own, peer)| own / peer);
                    write!(
                        f,
                        "{:>17}",
                        ratio.filter(|ratio| ratio.is_finite()).map_or("–".into(), |ratio| format!("{ratio:.2} ×"))
                    )?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn is_peer(subject: &str) -> bool {
    let peers = [Subject::Nsd, Subject::Knot, Subject::Dnsdist, Subject::Unbound, Subject::Bird];
    peers.iter().any(|peer| peer.name() == subject)
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
    fn quantiles_take_a_value_that_was_there() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(quantile(values.clone(), 0.99), 198.0);
        assert_eq!(quantile(values.clone(), 1.0), 200.0);
        assert_eq!(median(values), 100.5);
        assert!(median(vec![]).is_nan());
    }
}
