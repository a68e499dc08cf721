//! Rates, counts and what is armed, in a few words.

use origin_sync::duration_words;

use crate::control::defences::{ArmedStatus, DefencesStatus};

/// A rate: whole where that is exact enough.
pub(in crate::show) fn rate(per_s: f64) -> String {
    match per_s {
        per_s if per_s <= 0.0 => "0".to_owned(),
        per_s if per_s < 9.95 => format!("{per_s:.1}"),
        per_s => format!("{per_s:.0}"),
    }
}

/// Bytes of tables.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What is armed, and for how long.
pub(in crate::show) fn armed(armed: &[ArmedStatus], now_unix_s: f64) -> String {
    let one = |armed: &ArmedStatus| {
        let lasts = duration_words(now_unix_s - armed.since_unix_s);
        format!("{} ({}) for {lasts}", armed.defence, armed.scope)
    };
    if armed.is_empty() { "nothing".to_owned() } else { armed.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// The defences in one line, for `parapet status`.
pub(crate) fn summary(status: &DefencesStatus, now_unix_s: f64) -> String {
    let differ = status.filters.iter().filter(|filter| filter.mode != status.mode);
    let differ: Vec<_> = differ.map(|filter| format!("{} {}", filter.filter, filter.mode)).collect();
    let but = if differ.is_empty() { String::new() } else { format!(" (but {})", differ.join(", ")) };
    let effect = |name: &str| -> u64 { status.filters.iter().filter_map(|filter| filter.effects.get(name)).sum() };
    let known = status.known_good_learned;
    let mut words = format!(
        "{}{but}, armed: {}; {} dropped, {} slipped, known good: {known}",
        status.mode,
        armed(&status.armed, now_unix_s),
        effect("dropped"),
        effect("slipped"),
    );
    if let Some(problem) = status.problems.first() {
        words.push_str(&format!("; {problem}"));
    }
    words
}
