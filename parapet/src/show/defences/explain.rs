//! `parapet explain-source`: what becomes of a source, in sentences for somebody who was woken up.

use std::fmt::Write as _;

use origin_sync::duration_words;

use super::known_good::why as good_why;
use super::words::rate;
use crate::control::defences::{BudgetStatus, Explained, JudgementStatus, ListedStatus};
use crate::services::defences::orders::List;

pub(super) fn explain(explained: &Explained, now_unix_s: f64) -> String {
    let mut text = verdict(explained) + "\n\n";
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line("now", &now(explained));
    for sentence in who(explained, now_unix_s) {
        line("who", &sentence);
    }
    for sentence in explained.lists.iter().map(|listed| on_list(listed, now_unix_s)) {
        line("listed", &sentence);
    }
    for budget in &explained.budgets {
        line("budget", &of_budget(budget));
    }
    for sentence in why(explained) {
        line("why", &sentence);
    }
    for sentence in advice(explained) {
        line("what to do", &sentence);
    }
    text
}

/// The answer, first and whole.
fn verdict(explained: &Explained) -> String {
    let source = explained.source;
    let by = explained.filter.as_deref().map_or(String::new(), |filter| format!(" by the filter {filter}"));
    let is_listed = |list: List| explained.lists.iter().any(|listed| listed.list == Some(list));
    let words = match (explained.outcome.as_str(), explained.penalty) {
        ("dropped", _) => format!("gets no answer{by}"),
        ("slipped", _) => format!("gets a truncated answer{by}, and a real one when it asks again over TCP"),
        _ if is_listed(List::Allow) => "is answered whatever it does".to_owned(),
        (_, 0) => "is answered, also while there is more than the node can answer".to_owned(),
        (_, penalty) => format!(
            "is answered while there is capacity; with a penalty of {penalty} of 100{by}, it is left out before others where \
             there is none"
        ),
    };
    format!("{source} {words}.")
}

fn now(explained: &Explained) -> String {
    let Some(rates) = &explained.rates else {
        return "It asks little or nothing: it is not among the heaviest sources of the last minute.".to_owned();
    };
    format!(
        "It asks {} a second: {} are answered, {} slipped, {} dropped; {} a second over the last minute.",
        rate(rates.per_s),
        rate(rates.served_per_s),
        rate(rates.slipped_per_s),
        rate(rates.dropped_per_s),
        rate(rates.minute_per_s),
    )
}

fn who(explained: &Explained, now_unix_s: f64) -> Vec<String> {
    let standing = match explained.standing.as_str() {
        "never-seen" => "It was never heard of, or long ago.".to_owned(),
        "seen-once" => "It was heard of once, a moment ago.".to_owned(),
        "watched" => {
            let left = explained.good_periods_needed.saturating_sub(explained.good_periods);
            format!(
                "It is not known to be good: it has behaved well in {} periods of {}, and needs {left} more.",
                explained.good_periods,
                duration_words(explained.period_s),
            )
        }
        "proven" => "It has shown within the last hour that it is where it says.".to_owned(),
        "known-good" => "It is known to be good.".to_owned(),
        other => format!("It is {other}."),
    };
    let mut words = vec![standing];
    if let (Some(why), Some(since), Some(until)) =
        (&explained.good_why, explained.good_since_unix_s, explained.good_until_unix_s)
    {
        words.push(format!(
            "It {}; that counts since {}, and for {} more unless it is heard of.",
            good_why(why),
            duration_words(now_unix_s - since as f64),
            duration_words(until as f64 - now_unix_s),
        ));
    }
    words
}

fn on_list(listed: &ListedStatus, now_unix_s: f64) -> String {
    let what = match listed.list {
        Some(List::Allow) => "never limited",
        Some(List::Block) => "never answered",
        Some(List::KnownGood) => "known good",
        None => "on no list, whatever the file says",
    };
    let by = match listed.by.as_str() {
        "order" => "by an order",
        "network" => "since the network needs it",
        _ => "by the network file",
    };
    let ends = |until: u64| format!(", for {} more", duration_words(until as f64 - now_unix_s));
    let why = if listed.why.is_empty() { String::new() } else { format!(" ({})", listed.why) };
    format!("{} is {what} {by}{}{why}.", listed.prefix, listed.until_unix_s.map_or(String::new(), ends))
}

fn of_budget(budget: &BudgetStatus) -> String {
    let BudgetStatus { filter, of, per_s, used, counted } = budget;
    let state = match used {
        _ if !counted => "not counted, since its address is proven".to_owned(),
        used if *used >= 2.0 => "it sends more than four times that".to_owned(),
        used if *used >= 1.0 => "it sends more than that".to_owned(),
        used => format!("{:.0} % of its bursts is used", used * 100.0),
    };
    format!("{filter}: {per_s} a second for {of}: {state}.")
}

fn why(explained: &Explained) -> Vec<String> {
    let found = explained.judgements.iter().filter(|judgement| judgement.finding != "fine");
    let mut words: Vec<String> = found.map(|judgement| judge(judgement, explained)).collect();
    if words.is_empty() {
        words.push("No filter has anything against it.".to_owned());
    }
    if explained.random_source_armed {
        words.push("Random sources flood this node now: known-good sources alone are answered over UDP.".to_owned());
    }
    words.push(
        "This is about the source. What it asks for counts too: names below an attacked suffix, what is not at hand, \
         answers that could be reflected (`parapet defences`)."
            .to_owned(),
    );
    words
}

fn judge(judgement: &JudgementStatus, explained: &Explained) -> String {
    let reason = match judgement.filter.as_str() {
        "blocked" => "It is on the list of those that are never answered",
        "client" => "It asks more than one source may",
        "prefix" => "Its network asks more than one may",
        "repetition" => "It asks again and again for what it was told, within the TTL",
        "unknown-source" => "It is not known to be good while random sources flood",
        _ => "The filter has something against it",
    };
    let what = match judgement.finding.as_str() {
        "drop" => "no answer".to_owned(),
        "slip" => "a truncated answer".to_owned(),
        _ => format!("a penalty of {}", judgement.penalty),
    };
    let is_allowed = explained.lists.iter().any(|listed| listed.list == Some(List::Allow));
    let but = match judgement.mode.as_str() {
        _ if is_allowed => ", were it not on the list of those that are never limited",
        "on" => "",
        "observe" => ", were the filter not to observe alone",
        _ => ", were the filter not off",
    };
    format!("{reason} ({}): {what}{but}.", judgement.filter)
}

fn advice(explained: &Explained) -> Vec<String> {
    let source = explained.source;
    if explained.lists.iter().any(|listed| listed.by == "network") {
        return Vec::new();
    }
    let ordered = explained.lists.iter().find(|listed| listed.by == "order" && listed.list.is_some());
    match (ordered, explained.outcome.as_str()) {
        (Some(listed), _) => {
            let command = match listed.list {
                Some(List::KnownGood) => "known-good remove",
                Some(List::Block) => "block --remove",
                Some(List::Allow) | None => "allow --remove",
            };
            vec![format!("Take the order back: parapet {command} {}", listed.prefix)]
        }
        (None, "served") => vec![format!("Answer it no more, for a time: parapet block {source} --for 10m")],
        (None, _) => vec![
            format!("Answer it whatever it does, for a time: parapet allow {source} --for 1h"),
            format!("Trust it as a known resolver: parapet known-good add {source}"),
        ],
    }
}
