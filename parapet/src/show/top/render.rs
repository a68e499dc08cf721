//! What `parapet top` shows, as text.

use clap::ValueEnum;
use origin_sync::Severity;

use super::super::defences::{Said, armed, rate};
use super::super::style::Style;
use super::super::table::render;
use crate::control::defences::{TopAnswer, TopRow};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum View {
    /// The heaviest of everything.
    All,
    Sources,
    Prefixes,
    Names,
    /// Names above those that are asked for.
    Suffixes,
    Zones,
    Types,
    /// What the filters did.
    Reasons,
}

impl View {
    /// The key that shows it.
    pub(super) fn key(self) -> char {
        match self {
            Self::All => 'a',
            Self::Sources => 's',
            Self::Prefixes => 'p',
            Self::Names => 'n',
            Self::Suffixes => 'u',
            Self::Zones => 'z',
            Self::Types => 't',
            Self::Reasons => 'r',
        }
    }

    /// The views that it is made of.
    pub(super) fn parts(self) -> &'static [View] {
        match self {
            Self::All => &[Self::Reasons, Self::Sources, Self::Prefixes, Self::Suffixes, Self::Names, Self::Zones],
            Self::Sources => &[Self::Sources],
            Self::Prefixes => &[Self::Prefixes],
            Self::Names => &[Self::Names],
            Self::Suffixes => &[Self::Suffixes],
            Self::Zones => &[Self::Zones],
            Self::Types => &[Self::Types],
            Self::Reasons => &[Self::Reasons],
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Sources => "source",
            Self::Prefixes => "prefix",
            Self::Names => "name",
            Self::Suffixes => "suffix",
            Self::Zones => "zone",
            Self::Types => "type",
            Self::Reasons => "filter",
        }
    }

    fn rows(self, top: &TopAnswer) -> &[TopRow] {
        match self {
            Self::All => &[],
            Self::Sources => &top.sources,
            Self::Prefixes => &top.prefixes,
            Self::Names => &top.names,
            Self::Suffixes => &top.suffixes,
            Self::Zones => &top.zones,
            Self::Types => &top.types,
            Self::Reasons => &top.reasons,
        }
    }
}

/// One look: what is asked in all, what is armed, and the rows of the view.
pub(super) fn page(top: &TopAnswer, view: View, rows: usize, now_unix_s: f64, style: Style) -> String {
    let all = &top.all;
    let mut text = format!(
        "{}: {} queries a second ({} over the minute): {} served, {} slipped, {} dropped\n",
        top.node,
        rate(all.per_s),
        rate(all.minute_per_s),
        rate(all.served_per_s),
        rate(all.slipped_per_s),
        rate(all.dropped_per_s),
    );
    let severity = (!top.armed.is_empty()).then_some(Severity::Warning);
    let words = format!("armed: {}", armed(&top.armed, now_unix_s));
    text.push_str(&if severity.is_some() { style.paint(severity, &words) } else { words });
    text.push('\n');
    for part in view.parts() {
        let heaviest = part.rows(top);
        if !heaviest.is_empty() {
            text.push('\n');
            text.push_str(&table(*part, heaviest, rows));
        }
    }
    if all.minute_per_s <= 0.0 {
        text.push_str(
            "\nNobody has asked for anything in the last minute, or the defences are off: they look at nothing then.\n",
        );
    }
    text
}

fn table(view: View, rows: &[TopRow], rows_max: usize) -> String {
    let row = |row: &TopRow| {
        let rates = &row.rates;
        vec![
            row.key.clone(),
            rate(rates.per_s),
            rate(rates.minute_per_s),
            rate(rates.served_per_s),
            rate(rates.slipped_per_s),
            rate(rates.dropped_per_s),
            row.reason.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<_> = rows.iter().take(rows_max).map(row).collect();
    if view == View::Reasons {
        // They say themselves what was done.
        let short: Vec<_> = rows.into_iter().map(|mut row| row.drain(..3).collect()).collect();
        return render(&[view.title(), "per s#", "minute#"], &short);
    }
    render(&[view.title(), "per s#", "minute#", "served#", "slipped#", "dropped#", "mostly"], &rows)
}

/// Every node beside the others.
pub(super) fn fleet(nodes: &[Said<TopAnswer>]) -> String {
    let first =
        |rows: &[TopRow]| rows.first().map_or("-".to_owned(), |row| format!("{} ({})", row.key, rate(row.rates.per_s)));
    let row = |(node, said): &Said<TopAnswer>| match said {
        Ok(top) => vec![
            node.clone(),
            rate(top.all.per_s),
            rate(top.all.served_per_s),
            rate(top.all.slipped_per_s),
            rate(top.all.dropped_per_s),
            first(&top.sources),
            first(&top.suffixes),
            first(&top.reasons),
        ],
        Err(why) => {
            let strokes = std::iter::repeat_n("-".to_owned(), 4);
            std::iter::once(node.clone()).chain(strokes).chain([format!("silent: {why}")]).collect()
        }
    };
    let header = ["node", "per s#", "served#", "slipped#", "dropped#", "first source", "first suffix", "first reason"];
    render(&header, &nodes.iter().map(row).collect::<Vec<_>>())
}
