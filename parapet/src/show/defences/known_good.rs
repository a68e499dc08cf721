//! `parapet known-good list`: who is known to be good.

use origin_sync::duration_words;

use super::super::table::render;
use super::super::{print, print_json};
use super::node::lists;
use super::{OTHER_VERSION, all_nodes, to_json};
use crate::cli::OrderArguments;
use crate::control::defences::{GoodSource, KnownGood};
use crate::control::protocol::{Answer, Request};
use crate::failure::Failure;
use crate::reload::unix_s;
use crate::target::Target;

/// Sources that are shown; `export` and `--json` have all.
const ROWS_MAX: usize = 20;

pub(crate) fn show_known_good(order: &OrderArguments) -> Result<(), Failure> {
    let show = &order.show;
    if order.all {
        let said = |answer| if let Answer::KnownGood(known) = answer { Some(*known) } else { None };
        let nodes = all_nodes(show, &Request::KnownGood, said)?;
        if show.json {
            return print_json(&nodes.iter().map(|node| to_json("known_good", node)).collect::<Vec<_>>());
        }
        let row = |(node, said): &super::Said<KnownGood>| match said {
            Ok(known) => {
                vec![node.clone(), known.learned.len().to_string(), known.listed.len().to_string(), String::new()]
            }
            Err(why) => vec![node.clone(), "-".to_owned(), "-".to_owned(), format!("silent: {why}")],
        };
        return print(&render(&["node", "learned#", "listed#", ""], &nodes.iter().map(row).collect::<Vec<_>>()));
    }
    match Target::find(show)?.0.ask(&Request::KnownGood)? {
        Answer::KnownGood(known) if show.json => print_json(&known),
        Answer::KnownGood(known) => print(&text(&known, unix_s())),
        _ => Err(Failure::runtime(OTHER_VERSION)),
    }
}

pub(super) fn text(known: &KnownGood, now_unix_s: f64) -> String {
    let mut text = format!("{} learned, {} listed by hand\n", known.learned.len(), known.listed.len());
    if !known.learned.is_empty() {
        // The latest: whoever asks has just seen one come.
        let mut learned: Vec<&GoodSource> = known.learned.iter().collect();
        learned.sort_by_key(|good| (std::cmp::Reverse(good.since_unix_s), good.address));
        let row = |good: &&GoodSource| {
            vec![
                good.address.to_string(),
                why(&good.why).to_owned(),
                duration_words(now_unix_s - good.since_unix_s as f64),
                duration_words(good.until_unix_s as f64 - now_unix_s),
            ]
        };
        let rows: Vec<_> = learned.iter().take(ROWS_MAX).map(row).collect();
        text.push('\n');
        text.push_str(&render(&["source", "why", "for#", "unless heard of, until in#"], &rows));
        if learned.len() > ROWS_MAX {
            text.push_str(&format!("and {} more; `parapet known-good export` has them\n", learned.len() - ROWS_MAX));
        }
    }
    let listed = lists(&known.listed, now_unix_s);
    if !listed.is_empty() {
        text.push('\n');
        text.push_str(&listed);
    }
    text
}

/// Why a source is known to be good, in words.
pub(super) fn why(why: &str) -> &str {
    match why {
        "behaved" => "behaved well",
        "told" => "taken over from another node or start",
        "connected" => "came over TCP",
        "cookie" => "had a valid cookie",
        other => other,
    }
}
