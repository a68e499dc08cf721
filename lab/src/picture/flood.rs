//! Floods as a picture: for each server the share of real questions that were answered, how long it took, and what was sent
//! against it. As an SVG and, smaller, for a terminal. Both are made from [`Trial`]s alone.

use std::fmt::Write as _;

use crate::clients::{Figures, Phase, Row, Trial};

/// A picture of floods: a block for each, one below the other.
pub struct Floods<'t> {
    /// What it shows.
    pub title: String,
    /// A block each: what is attacked, in a word or three, and what came of it.
    pub trials: Vec<(String, &'t Trial)>,
}

/// The picture's width, and where the blocks begin and end in it.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 1180.0;
/// Above the blocks: title and legend.
const BLOCKS_Y: f64 = 86.0;
/// A block: its name, shares, times, the attack; and the room below it.
const NAME_HEIGHT: f64 = 20.0;
const SHARE_HEIGHT: f64 = 70.0;
const TIME_HEIGHT: f64 = 46.0;
const ATTACK_HEIGHT: f64 = 46.0;
const GAP: f64 = 8.0;
const BLOCK_HEIGHT: f64 = NAME_HEIGHT + SHARE_HEIGHT + TIME_HEIGHT + ATTACK_HEIGHT + 2.0 * GAP + 34.0;
/// Colours that people with any kind of sight tell apart (after Okabe and Ito).
const FIRST_TRY: &str = "#0072b2";
const WITH_RETRIES: &str = "#e69f00";
const LOST: &str = "#d00000";
const SENT: &str = "#bbbbbb";
const ANSWERED: &str = "#555555";

impl Floods<'_> {
    /// The picture, as the text of an SVG file.
    pub fn svg(&self) -> String {
        let height = BLOCKS_Y + BLOCK_HEIGHT * self.trials.len() as f64 + 10.0;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"20\" y=\"32\" font-size=\"18\" font-weight=\"600\">{}</text>\n",
            escape(&self.title)
        );
        let legend = [
            (FIRST_TRY, "real: answered at the first try"),
            (WITH_RETRIES, "answered with retries"),
            (LOST, "not answered"),
            (SENT, "attack: sent"),
            (ANSWERED, "answered"),
        ];
        let mut x = LEFT;
        for (colour, what) in legend {
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"50\" width=\"14\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"60\">{what}</text>",
                x + 19.0
            );
            x += 40.0 + 6.6 * what.len() as f64;
        }
        for (number, (name, trial)) in self.trials.iter().enumerate() {
            block(&mut text, name, trial, BLOCKS_Y + BLOCK_HEIGHT * number as f64);
        }
        text.push_str("</svg>\n");
        text
    }

    /// Lines for a terminal of so many columns; with `colours`, in ANSI's.
    pub fn terminal(&self, columns: usize, colours: bool) -> String {
        let mut text = String::new();
        for (name, trial) in &self.trials {
            terminal_block(&mut text, name, trial, columns, colours);
        }
        text
    }
}

fn block(text: &mut String, name: &str, trial: &Trial, y: f64) {
    let rows = &trial.rows;
    let width = (RIGHT - LEFT) / rows.len().max(1) as f64;
    let x = |number: usize| LEFT + width * number as f64;
    let share_y = y + NAME_HEIGHT;
    let time_y = share_y + SHARE_HEIGHT + GAP;
    let attack_y = time_y + TIME_HEIGHT + GAP;
    let bottom = attack_y + ATTACK_HEIGHT;
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"{:.0}\" font-size=\"14\" font-weight=\"600\">{}</text>\
         <text x=\"{RIGHT}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"#333333\">{}</text>",
        y + 13.0,
        escape(name),
        y + 13.0,
        escape(&summary(trial))
    );
    let labels =
        [(share_y, SHARE_HEIGHT, "100 %", "0"), (time_y, TIME_HEIGHT, "", "0 ms"), (attack_y, ATTACK_HEIGHT, "", "0")];
    for (at, height, top, zero) in labels {
        let _ = writeln!(
            text,
            "<path d=\"M{LEFT} {:.1}H{RIGHT}\" stroke=\"#999999\"/>\
             <text x=\"{2:.0}\" y=\"{3:.1}\" text-anchor=\"end\" font-size=\"10\" fill=\"#555555\">{top}</text>\
             <text x=\"{2:.0}\" y=\"{1:.1}\" text-anchor=\"end\" font-size=\"10\" fill=\"#555555\">{zero}</text>",
            at + height,
            at + height,
            LEFT - 6.0,
            at + 8.0
        );
    }
    shares(text, rows, share_y, width);
    times(text, rows, time_y, width);
    packets(text, trial, attack_y, width);
    for (number, row) in rows.iter().enumerate() {
        let turns = number > 0 && rows.get(number - 1).is_some_and(|before| before.phase != row.phase);
        if turns {
            let _ = writeln!(
                text,
                "<path d=\"M{0:.1} {share_y:.0}V{bottom:.0}\" stroke=\"#8b0000\" stroke-dasharray=\"3 3\"/>",
                x(number)
            );
        }
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#555555\">{}</text>",
            x(number),
            bottom + 13.0,
            row.second
        );
    }
}

/// Stacked: at the first try, with retries, lost.
fn shares(text: &mut String, rows: &[Row], y: f64, width: f64) {
    for (number, row) in rows.iter().enumerate() {
        let lost = 1.0 - row.real.answered_share();
        let with_retries = row.real.answered_share() - row.real.first_try_share();
        let mut top = y;
        for (share, colour) in [(lost, LOST), (with_retries, WITH_RETRIES), (row.real.first_try_share(), FIRST_TRY)] {
            let height = share * SHARE_HEIGHT;
            if height > 0.01 {
                bar(text, (LEFT + width * number as f64, top), (width - 1.0, height), colour);
            }
            top += height;
        }
    }
}

/// The median of all answers' times, as steps.
fn times(text: &mut String, rows: &[Row], y: f64, width: f64) {
    let median_ms = |row: &Row| row.real.answered_median_us.map(|us| f64::from(us) / 1e3);
    let top_ms = rows.iter().filter_map(median_ms).fold(0.5, f64::max);
    let _ = writeln!(
        text,
        "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"10\" fill=\"#555555\">{top_ms:.1} ms (median)</text>",
        LEFT - 6.0,
        y + 8.0
    );
    let mut path = String::new();
    let mut pen_down = false;
    for (number, row) in rows.iter().enumerate() {
        let x = LEFT + width * number as f64;
        match median_ms(row) {
            Some(ms) => {
                let at = y + TIME_HEIGHT - ms / top_ms * TIME_HEIGHT;
                let _ = write!(path, "{}{x:.1} {at:.1}H{:.1}", if pen_down { 'L' } else { 'M' }, x + width);
                pen_down = true;
            }
            None => pen_down = false,
        }
    }
    let _ = writeln!(text, "<path d=\"{path}\" fill=\"none\" stroke=\"#222222\" stroke-width=\"1.4\"/>");
}

/// What the attack sent, and what of it was answered.
fn packets(text: &mut String, trial: &Trial, y: f64, width: f64) {
    let top = trial.rows.iter().map(|row| row.sent.packets).max().unwrap_or(0).max(1) as f64;
    let _ = writeln!(
        text,
        "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"10\" fill=\"#555555\">{}/s {}</text>",
        LEFT - 6.0,
        y + 8.0,
        thousands(top),
        trial.attack
    );
    for (number, row) in trial.rows.iter().enumerate() {
        for (count, colour) in [(row.sent.packets, SENT), (row.arrived.all().packets, ANSWERED)] {
            let height = (count as f64 / top).min(1.0) * ATTACK_HEIGHT;
            if height > 0.05 {
                let at = (LEFT + width * number as f64, y + ATTACK_HEIGHT - height);
                bar(text, at, (width - 1.0, height), colour);
            }
        }
    }
}

fn bar(text: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    let _ = writeln!(
        text,
        "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{width:.1}\" height=\"{height:.2}\" fill=\"{colour}\"/>"
    );
}

/// What came of an attack, in a line.
fn summary(trial: &Trial) -> String {
    let real = &trial.under_attack;
    format!(
        "under attack: {} of {} real questions answered, {} at the first try",
        percent(real.answered_share()),
        real.asked,
        percent(real.first_try_share())
    )
}

/// `200 k`, `1,500`.
fn thousands(number: f64) -> String {
    if number >= 10_000.0 { format!("{:.0} k", number / 1e3) } else { format!("{number:.0}") }
}

/// With as many digits as matter: 99.95 % is not 100 %.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if share < 1.0 && percent > 99.0 {
        // Rounded down: what is not all never reads as all.
        format!("{:.2} %", (percent * 100.0).floor() / 100.0)
    } else {
        format!("{percent:.0} %")
    }
}

/// Levels of a bar from least to most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The width of the lines' names.
const NAME_WIDTH: usize = 12;

/// How high a second's bar is, 0 to 1, and its colour.
type Level<'l> = dyn Fn(&Row) -> (Option<f64>, Option<u8>) + 'l;

fn terminal_block(text: &mut String, name: &str, trial: &Trial, columns: usize, colours: bool) {
    let count = trial.rows.len().max(1);
    let cell = (columns.saturating_sub(NAME_WIDTH) / count).clamp(1, 6);
    let _ = writeln!(text, "{name}: {}", summary(trial));
    let top_ms = trial.rows.iter().filter_map(|row| row.real.answered_median_us).max().unwrap_or(1).max(1);
    let top_sent = trial.rows.iter().map(|row| row.sent.packets).max().unwrap_or(0).max(1);
    let mut line = |label: String, of: &Level| {
        let _ = write!(text, "{label:<NAME_WIDTH$}");
        for row in &trial.rows {
            let (share, colour) = of(row);
            let bars: String = std::iter::repeat_n(share.map_or(' ', level), cell).collect();
            let _ = match colour.filter(|_| colours) {
                Some(colour) => write!(text, "\x1b[{colour}m{bars}\x1b[0m"),
                None => write!(text, "{bars}"),
            };
        }
        text.push('\n');
    };
    line("  answered".into(), &|row| (Some(row.real.answered_share()), Some(colour_of(&row.real))));
    line(format!("  {:.1} ms", f64::from(top_ms) / 1e3), &|row| {
        (row.real.answered_median_us.map(|us| f64::from(us) / f64::from(top_ms)), None)
    });
    line(format!("  {}/s", thousands(top_sent as f64)), &|row| {
        let share = row.sent.packets as f64 / top_sent as f64;
        ((row.phase == Phase::Attack || row.sent.packets > 0).then_some(share), None)
    });
}

/// ANSI's: green where all were answered, yellow where nearly all, else red.
fn colour_of(real: &Figures) -> u8 {
    match real.answered_share() {
        share if share >= 0.999 => 32,
        share if share >= 0.98 => 33,
        _ => 31,
    }
}

fn level(share: f64) -> char {
    let level = (share * BARS.len() as f64).ceil() as usize;
    BARS.get(level.saturating_sub(1).min(BARS.len() - 1)).copied().unwrap_or(' ')
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{Attack, Sent};

    fn trial() -> Trial {
        let real = |first_try, with_retries, lost| Figures {
            asked: first_try + with_retries + lost,
            first_try,
            with_retries,
            lost,
            answered_median_us: Some(500),
            ..Figures::default()
        };
        let row = |second, phase, real, packets| Row {
            second,
            phase,
            real,
            sent: crate::attack::Second { packets, ..Default::default() },
            arrived: Default::default(),
            origin_packets: 0,
            server_percent: 50.0,
        };
        Trial {
            attack: Attack::RandomNames,
            rate_per_s: 100,
            rows: vec![
                row(-1, Phase::Calm, real(100, 0, 0), 0),
                row(0, Phase::Attack, real(50, 40, 10), 12_000),
                row(1, Phase::After, real(100, 0, 0), 0),
            ],
            calm: real(100, 0, 0),
            under_attack: real(50, 40, 10),
            after: real(100, 0, 0),
            sent: Sent::default(),
            arrived: Default::default(),
            origin_per_s: [0.0; 2],
            real_time: true,
        }
    }

    #[test]
    fn a_picture_has_all_three_shares_and_both_turns() {
        let trial = trial();
        let floods = Floods { title: "a < b".into(), trials: vec![("on".into(), &trial)] };
        let svg = floods.svg();
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        for colour in [FIRST_TRY, WITH_RETRIES, LOST, SENT] {
            assert!(svg.matches(colour).count() > 1, "{colour}");
        }
        assert_eq!(svg.matches("stroke-dasharray").count(), 2);
        let lines: Vec<String> = floods.terminal(42, false).lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "on: under attack: 90 % of 100 real questions answered, 50 % at the first try",
                "  answered  ██████████████████",
                "  0.5 ms    ██████████████████",
                "  12 k/s          ██████      ",
            ]
        );
    }

    #[test]
    fn nearly_all_does_not_read_as_all() {
        assert_eq!([1.0, 0.99999, 0.995, 0.5].map(percent), ["100 %", "99.99 %", "99.50 %", "50 %"]);
    }
}
