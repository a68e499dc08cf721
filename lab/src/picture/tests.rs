use super::*;
use crate::prober::{Lateness, Probe};

/// Ten seconds: `a` answers in 10 ms, nobody from 4.0 to 4.2 s, `b` in 80 ms from there on.
fn record(region: &str) -> Record {
    let probe = |number: u64| {
        let sent_us = number * 5_000;
        let outcome = match sent_us {
            0..4_000_000 => Outcome::Answered { edge: 0, after_us: 10_000 },
            4_000_000..4_200_000 => Outcome::Lost,
            _ => Outcome::Answered { edge: 1, after_us: 80_000 },
        };
        Probe { sent_us, address: 0, outcome }
    };
    Record {
        region: region.to_owned(),
        addresses: Vec::new(),
        interval_us: 5_000,
        edges: vec!["ams-1".to_owned(), "b<2>".to_owned()],
        probes: (0..2000).map(probe).collect(),
        lateness: Lateness::default(),
    }
}

fn timeline() -> Timeline {
    Timeline {
        title: "a fault & its end".to_owned(),
        records: vec![record("europe"), record("asia")],
        marks: vec![
            Mark { at_us: 4_000_000, label: "kill ams-1".to_owned(), kind: MarkKind::Fault },
            Mark { at_us: 4_100_000, label: "start ams-1".to_owned(), kind: MarkKind::Repair },
        ],
    }
}

#[test]
fn columns_say_who_answered_what_was_lost_and_how_long_it_took() {
    let timeline = timeline();
    let edges = timeline.edges();
    assert_eq!(edges, ["ams-1", "b<2>"]);
    let columns = timeline.columns(&timeline.records[0], &edges, 10);
    assert_eq!(columns[0], Column { answered: vec![200, 0], missed: 0, median_us: Some(10_000) });
    assert_eq!(columns[4], Column { answered: vec![0, 160], missed: 40, median_us: Some(80_000) });
    assert_eq!(columns.len(), 10);
}

#[test]
fn the_picture_has_all_of_it_and_is_well_formed() {
    let svg = timeline().svg();
    for text in ["a fault &amp; its end", ">europe<", ">asia<", "b&lt;2&gt;", "kill ams-1", "40 lost in 200 ms", "9 s"]
    {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    // Without anything asked there is nothing to show, and no harm.
    let nothing = Timeline { title: String::new(), records: Vec::new(), marks: Vec::new() };
    assert!(nothing.svg().ends_with("</svg>\n"));
    assert!(!nothing.terminal(80, true).is_empty());
}

#[test]
fn a_terminal_shows_the_same_in_letters() {
    let text = timeline().terminal(NAME + 50, false);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("▼kill ams-1") && lines[1].contains("△start ams-1"), "{text}");
    let row = format!("{:<NAME$}{}×{}", "europe", "a".repeat(20), "b".repeat(29));
    assert_eq!(lines[2], row);
    assert!(lines[3].ends_with('█') && lines[3].contains('▂'), "{text}");
    assert!(text.contains("2000 queries, 40 queries lost"), "{text}");
    assert!(text.contains("a ams-1, b b<2>, × not answered"), "{text}");
    assert!(timeline().terminal(80, true).contains("\x1b[31m×"));
}

/// The width of names.
const NAME: usize = 11;
