//! `parapet-lab attack`: one attack on one server, beside real clients; a table of its seconds, a picture, and what Parapet
//! says of it itself.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use parapet_lab::{
    Lanes,
    attack::{Attack, Pace, Target, write_pcap},
    clients::{
        CLIENT_CORE, Defended, Defender, Figures, Fill, Ground, Mode, Phase, Plan, Row, Setup, Trial, keep_to, run,
    },
    picture::{Floods, percent},
};

/// Columns of the picture in the terminal.
const COLUMNS: usize = 100;
/// The longest attack: the record of its seconds is kept in memory.
const SECONDS_MAX: u32 = 600;
/// Of the events that Parapet tells, the last so many are shown.
const EVENTS_SHOWN_MAX: usize = 8;

/// One attack, beside 2,000 questions a second from real clients, and what these are answered.
///
/// A server has the second core for itself; attack, clients and origin share the first one. After a warm-up of 15 s come
/// 3 s of calm, the attack, and 5 s after it. Real clients repeat what is not answered after 400, 800 and 1600 ms; what is
/// answered without that counts as answered at the first try, also where a truncated answer led to TCP.
#[derive(Args)]
pub(crate) struct Options {
    /// The attack; flash-crowd is none.
    attack: Attack,
    /// Packets a second; queries and connections by TCP.
    #[arg(long, default_value_t = 200_000)]
    rate: u32,
    /// How long it lasts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(SECONDS_MAX)))]
    seconds: u32,
    /// How far Parapet's defences go; a peer's are on unless they are off.
    #[arg(long, value_enum, default_value_t)]
    defences: Mode,
    /// Attack this server instead of Parapet.
    #[arg(long, value_enum)]
    peer: Option<Defender>,
    /// Whether the server has copies of its zones, or asks the origin (parapet and dnsdist).
    #[arg(long, value_enum, default_value_t)]
    mode: Fill,
    /// By which lanes Parapet answers. With kernel, what arrives at the server is also worked on by the server's core, whoever
    /// the server is.
    #[arg(long, visible_alias = "lane", value_enum, default_value_t)]
    lanes: Lanes,
    /// Questions a second from all real clients.
    #[arg(long, default_value_t = parapet_lab::clients::PER_S)]
    clients: u32,
    /// Other names, sources and breaks.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the attack's packets to this file, for others to replay, and attack nobody.
    #[arg(long)]
    pcap: Option<PathBuf>,
    /// Write the picture to this file, as SVG.
    #[arg(long)]
    picture: Option<PathBuf>,
    /// Print one JSON object: {"server", "defences", "attack", "rows": […], "calm", "under_attack", …}.
    #[arg(long)]
    json: bool,
}

pub(crate) fn attack(options: &Options) -> anyhow::Result<()> {
    let defender = options.peer.unwrap_or(Defender::Parapet);
    keep_to(CLIENT_CORE)?;
    let ground = Ground::build("attack")?.lanes(options.lanes)?;
    if let Some(file) = &options.pcap {
        return write(options, &ground, file);
    }
    let setup = Setup { mode: options.defences, fill: options.mode, ..Setup::default() };
    say(options, &format!("starting {defender} and real clients"));
    let defended = defender.start(&ground, &setup)?;
    let plan = Plan { attack_s: options.seconds, seed: options.seed, ..Plan::new(options.attack, options.rate) };
    let trial = try_it(&ground, &defended, &plan, options)?;
    let own = defended.edge().and_then(|edge| edge.ask(&["defences", "--json"]).ok());
    let own = own.and_then(|output| serde_json::from_str::<serde_json::Value>(&output.stdout).ok());
    let name = match options.defences {
        Mode::On => format!("{defender}, defences on"),
        Mode::Observe => format!("{defender}, defences observing"),
        Mode::Off => format!("{defender}, defences off"),
    };
    let title = format!("{} at {}/s: {}", trial.attack, trial.rate_per_s, trial.attack.about());
    let floods = Floods { title, trials: vec![(name.clone(), &trial)] };
    if let Some(file) = &options.picture {
        std::fs::write(file, floods.svg()).with_context(|| format!("writing {}", file.display()))?;
    }
    if options.json {
        println!("{}", json(&trial, defender, &own)?);
    } else {
        print!("\n{}\n\n{}\n{}", table(&trial), floods.terminal(COLUMNS, is_terminal()), summary(&trial));
        if let Some(own) = &own {
            print!("\n{}", of_itself(own));
        }
    }
    defended.stop()?;
    Ok(())
}

fn try_it(ground: &Ground, defended: &Defended, plan: &Plan, options: &Options) -> anyhow::Result<Trial> {
    let clients = ground.clients().per_s(options.clients).start()?;
    let heard = |second: i64, real: &Figures| {
        if second == -i64::from(plan.calm_s) - 1 {
            say(options, &format!("warm after {} s; calm for {} s", plan.warm_up_s, plan.calm_s));
        } else if second == -1 {
            say(options, &format!("{} at {}/s", plan.attack, plan.rate_per_s));
        } else if (0..i64::from(plan.attack_s)).contains(&second) {
            say(
                options,
                &format!("second {second}: {} of {} answered so far", real.first_try + real.with_retries, real.asked),
            );
        }
    };
    Ok(run(ground, defended, clients, plan, heard)?)
}

fn say(options: &Options, what: &str) {
    if !options.json {
        eprintln!("{what}");
    }
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdout())
}

fn write(options: &Options, ground: &Ground, file: &std::path::Path) -> anyhow::Result<()> {
    let lasts = Some(Duration::from_secs(u64::from(options.seconds)));
    let pace = Pace { rate_per_s: options.rate, lasts, seed: options.seed, core: None };
    let packets = write_pcap(file, options.attack, &Target::on(ground)?, &pace)?;
    println!("{packets} packets of {} to {} in {}", options.attack, ground.address(), file.display());
    Ok(())
}

fn json(trial: &Trial, defender: Defender, own: &Option<serde_json::Value>) -> anyhow::Result<String> {
    let mut all = serde_json::to_value(trial)?;
    if let Some(all) = all.as_object_mut() {
        all.insert("server".to_owned(), defender.name().into());
        all.insert("amplification".to_owned(), trial.amplification().into());
        all.insert("attack_answered".to_owned(), trial.attack_answered().into());
        all.insert("reached_per_s".to_owned(), trial.reached_per_s().into());
        all.insert("defences".to_owned(), own.clone().unwrap_or_default());
    }
    Ok(serde_json::to_string(&all)?)
}

/// A line for each second.
pub(crate) fn table(trial: &Trial) -> String {
    let mut text = format!(
        "{:>4} {:>7} {:>9} {:>8} {:>6} {:>9} {:>9} {:>8} {:>5} {:>10} {:>9} {:>8} {:>7} {:>7}\n",
        "s",
        "asked",
        "first try",
        "retried",
        "lost",
        "median",
        "p99",
        "retries",
        "TCP",
        "attack/s",
        "answered",
        "out/in",
        "origin",
        "CPU"
    );
    let ms = |us: Option<u32>| us.map_or("-".to_owned(), |us| format!("{:.2} ms", f64::from(us) / 1e3));
    let mut phase = None;
    for row in &trial.rows {
        if phase.replace(row.phase) != Some(row.phase) {
            text.push_str(match row.phase {
                Phase::Calm => "  calm\n",
                Phase::Attack => "  attack\n",
                Phase::After => "  after\n",
            });
        }
        let real = &row.real;
        text.push_str(&format!(
            "{:>4} {:>7} {:>9} {:>8} {:>6} {:>9} {:>9} {:>8} {:>5} {:>10} {:>9} {:>8.2} {:>7} {:>6.0}%\n",
            row.second,
            real.asked,
            real.first_try,
            real.with_retries,
            real.lost,
            ms(real.answered_median_us),
            ms(real.answered_p99_us),
            real.retries,
            real.over_tcp,
            row.sent.packets,
            row.arrived.all().packets,
            amplification(row),
            row.origin_packets,
            row.server_percent,
        ));
    }
    text
}

/// Bytes towards those whom the attack pretended to be, for each that it sent.
fn amplification(row: &Row) -> f64 {
    if row.sent.bytes == 0 { 0.0 } else { row.arrived.all().bytes as f64 / row.sent.bytes as f64 }
}

/// What came of it, in a few lines.
pub(crate) fn summary(trial: &Trial) -> String {
    let (real, calm) = (&trial.under_attack, &trial.calm);
    let total = trial.sent.total();
    let mut text = format!(
        "real clients under attack: {} answered ({} at the first try), {} lost; {} before\n",
        percent(real.answered_share()),
        percent(real.first_try_share()),
        real.lost,
        percent(calm.answered_share()),
    );
    let added = trial.added_ms().map_or("-".to_owned(), |ms| format!("{ms:+.2} ms"));
    let error = real.late_p99_us.unwrap_or_default();
    let priority = if trial.real_time { "real-time priority" } else { "no real-time priority" };
    text.push_str(&format!(
        "median time of first answers: {added}; the clients' own error: p99 {error} µs, {priority}\n"
    ));
    text.push_str(&format!(
        "attack: {:.0} packets/s reached of {}, {} late; {} answered; {:.2} bytes towards the sources for each byte sent\n",
        trial.reached_per_s(),
        trial.rate_per_s,
        total.late,
        percent(trial.attack_answered()),
        trial.amplification(),
    ));
    let [before, meanwhile] = trial.origin_per_s;
    text.push_str(&format!("packets to the origin: {before:.0}/s before, {meanwhile:.0}/s under attack\n"));
    text
}

/// What Parapet says: counters by reason, events.
fn of_itself(own: &serde_json::Value) -> String {
    let mut text = "Parapet's own counters by reason (parapet defences):\n".to_owned();
    let list = |key: &str| own.get(key).and_then(|list| list.as_array()).cloned().unwrap_or_default();
    for filter in list("filters") {
        let name = filter.get("filter").and_then(|name| name.as_str()).unwrap_or_default();
        let effects = filter.get("effects").and_then(|effects| effects.as_object()).cloned().unwrap_or_default();
        let counted: Vec<String> = effects
            .iter()
            .filter(|(_, count)| count.as_u64().is_some_and(|count| count > 0))
            .map(|(effect, count)| format!("{effect} {count}"))
            .collect();
        if !counted.is_empty() {
            text.push_str(&format!("  {name:<16}{}\n", counted.join(", ")));
        }
    }
    for event in list("events").iter().take(EVENTS_SHOWN_MAX).rev() {
        let of = |key: &str| event.get(key).and_then(|value| value.as_str()).unwrap_or("?").to_owned();
        text.push_str(&format!("  event: {} {} for {}\n", of("defence"), of("phase"), of("scope")));
    }
    text
}
