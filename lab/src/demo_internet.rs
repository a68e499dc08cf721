//! The third part of `parapet-lab demo`: anycast on a small internet. Which edge answers whom, and what clients notice
//! when one edge after the other is killed, frozen, drained and cut off.

use std::{
    io::IsTerminal,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use parapet_lab::{
    Lab, Namespace,
    internet::{ClientHost, Fault, Fleet, Internet, Region, ZONE},
    picture::{Mark, MarkKind, Timeline},
    prober::{self, Prober, Question, Record},
};

/// Everything that is waited for here comes within this time.
const DEADLINE: Duration = Duration::from_secs(60);
/// Without a loss for so long, a region is well.
const STEADY: Duration = Duration::from_secs(1);
/// Between the end of one act and the next.
const PAUSE: Duration = Duration::from_millis(700);
/// How long all clients ask for the table of who is answered by whom.
const CATCHMENT: Duration = Duration::from_millis(1500);
/// An act is played so often at most.
const TRIES_MAX: u32 = 4;
/// Who does not ask for so long has no processor; then BFD has none either, and calls edges dead that are well.
const STALL_US: u32 = 50_000;
/// No way to an edge and back is longer than this.
const FLIGHT_US: u64 = 400_000;
/// The picture for the terminal is so wide.
const TERMINAL_COLUMNS: usize = 110;

/// What is shown one after the other; the other edges are well meanwhile.
const ACTS: [Act; 4] = [
    Act {
        edge: "nyc-1",
        region: Region::America,
        fault: Fault::Kill,
        told: "The daemon at nyc-1 is killed (SIGKILL). Its kernel closes the sessions, so the router knows at once.",
    },
    Act {
        edge: "sin-1",
        region: Region::Asia,
        fault: Fault::Freeze,
        told: "All processes at sin-1 are stopped (SIGSTOP). Nothing is closed: only BFD's silence, 3 × 50 ms, tells.",
    },
    Act {
        edge: "ams-1",
        region: Region::Europe,
        fault: Fault::Drain,
        told: "ams-1 is drained: GRACEFUL_SHUTDOWN, then a withdrawal; it answers what still comes. Nothing may be lost.",
    },
    Act {
        edge: "ams-2",
        region: Region::Europe,
        fault: Fault::Cut,
        told: "The wire from ams-2 to its router is cut in the middle: both ends see a carrier. BFD tells again.",
    },
];

/// Something befalls an edge of a region and is mended.
struct Act {
    edge: &'static str,
    region: Region,
    fault: Fault,
    told: &'static str,
}

/// What runs.
struct Scene {
    fleet: Fleet,
    internet: Internet,
    _lab: Lab,
}

/// Tells it, and writes the timeline to `picture`; gives the lines for the table at the end.
pub(crate) fn tell(picture: &Path) -> anyhow::Result<Vec<(String, String)>> {
    println!("\n== A small internet, and one address at six edges ==");
    println!(
        "Five sites, the routers of three providers and of the sites (BIRD), clients in three regions, the origin on a\n\
         network of its own. Wires have the delays of real distances. Every edge announces the same prefixes by BGP.\n"
    );
    let mut scene = Scene::build()?;
    for line in scene.internet.map().lines() {
        println!("   {line}");
    }
    scene.show_catchments()?;
    scene.ask_an_edge()?;
    let regions: Vec<prober::Region> =
        Region::ALL.iter().map(|region| scene.asking(scene.internet.client(*region), &region.to_string())).collect();
    println!("\n   From here on a client in each region asks 200 times a second, over IPv4 and IPv6.");
    let prober = Prober::start(&regions, &Question::soa(ZONE))?;
    let usual = prober.wait_until_answered(STEADY, DEADLINE)?;
    let mut marks = Vec::new();
    let mut table = Vec::new();
    for act in &ACTS {
        std::thread::sleep(PAUSE);
        let told = scene.play_until_fair(act, &prober, &usual, &mut marks)?;
        table.push((format!("{}: queries lost, from the first to the last", act.label()), told));
    }
    std::thread::sleep(PAUSE);
    let records = prober.decided(0, prober.now_us())?;
    drop(prober);
    show(records, marks, picture)?;
    Ok(table)
}

impl Scene {
    /// The internet with its routers and a fleet, every edge announcing.
    fn build() -> anyhow::Result<Scene> {
        let begun = Instant::now();
        let lab = Lab::new("internet")?;
        let mut internet = Internet::build(&lab)?;
        internet.start_routers()?;
        let fleet = Fleet::of(&lab, &internet).start()?;
        for edge in internet.edges() {
            internet.wait_for_route(&edge.name, true, DEADLINE)?;
        }
        println!("   All of it runs, and all edges announce, after {:.1} s.\n", begun.elapsed().as_secs_f64());
        Ok(Scene { fleet, internet, _lab: lab })
    }

    fn asking(&self, client: &ClientHost, name: &str) -> prober::Region {
        let namespace: Namespace = client.namespace.clone();
        prober::Region { name: name.to_owned(), namespace, addresses: self.internet.service().to_vec() }
    }

    /// Who is answered by whom, by NSID.
    fn show_catchments(&self) -> anyhow::Result<()> {
        let clients = self.internet.clients();
        let regions: Vec<prober::Region> = clients.iter().map(|client| self.asking(client, &client.name)).collect();
        let prober = Prober::start(&regions, &Question::soa(ZONE))?;
        prober.wait_until_answered(CATCHMENT, DEADLINE)?;
        let now_us = prober.now_us();
        let window_us = u64::try_from(CATCHMENT.as_micros()).unwrap_or(u64::MAX);
        let records = prober.decided(now_us.saturating_sub(window_us), now_us)?;
        println!("\n   Who answers whom (NSID), and how fast:\n");
        for (client, record) in clients.iter().zip(&records) {
            let answering: Vec<String> = record.answerers().into_keys().collect();
            let time = record.latency_us(0.5).map_or("–".to_owned(), ms);
            println!(
                "   {:<9}{:<11}of {:<7}{:>9}   {}",
                client.region,
                client.name,
                client.provider,
                time,
                answering.join(" and ")
            );
        }
        Ok(())
    }

    /// What the first edge says of its announcing.
    fn ask_an_edge(&self) -> anyhow::Result<()> {
        let Some(edge) = self.fleet.edges().first() else { bail!("there are no edges") };
        println!("\n   {}$ parapet anycast", edge.namespace().name());
        for line in edge.ask(&["anycast"])?.stdout.lines() {
            println!("      {line}");
        }
        Ok(())
    }

    /// Play an act; again if the machine itself stood still meanwhile and something was lost that must not be.
    fn play_until_fair(
        &mut self,
        act: &Act,
        prober: &Prober,
        usual: &[Vec<String>],
        marks: &mut Vec<Mark>,
    ) -> anyhow::Result<String> {
        println!("\n   {}", act.told);
        for left in (0..TRIES_MAX).rev() {
            let (records, told) = self.play(act, prober, usual, marks)?;
            let lost: usize = records.iter().map(Record::missed).sum();
            if act.fault != Fault::Drain || lost == 0 {
                return Ok(told);
            }
            let stall_us = records.iter().map(stall_us).max().unwrap_or(0);
            if left == 0 || stall_us < STALL_US {
                bail!("{lost} queries were lost by draining {}, where none may be", act.edge);
            }
            println!("   The machine stood still for {} meanwhile. Again.", ms(stall_us));
        }
        bail!("{} was not tried", act.label())
    }

    /// Break something, wait until all regions are answered again, mend it, wait until it is used again. Gives what was
    /// seen, and that in words.
    fn play(
        &mut self,
        act: &Act,
        prober: &Prober,
        usual: &[Vec<String>],
        marks: &mut Vec<Mark>,
    ) -> anyhow::Result<(Vec<Record>, String)> {
        let label = act.label();
        let struck_us = micros(self.fleet.strike(act.edge, act.fault)?, prober);
        marks.push(Mark { at_us: struck_us, label: label.clone(), kind: MarkKind::Fault });
        let gone = |seen: &[Vec<String>]| seen.iter().flatten().all(|edge| edge != act.edge);
        let seen = prober.wait_for(&format!("answers by others after: {label}"), STEADY, DEADLINE, gone)?;
        let mended_us = micros(self.fleet.repair(act.edge, act.fault)?, prober);
        marks.push(Mark { at_us: mended_us, label: mended(act), kind: MarkKind::Repair });
        let what = format!("{} to answer as before, after: {label}", act.edge);
        prober.wait_for(&what, STEADY, DEADLINE, |seen| seen == usual)?;
        // What was under way to the edge at that moment is lost, too.
        let records = prober.decided(struck_us.saturating_sub(FLIGHT_US), prober.now_us())?;
        let place = Region::ALL.iter().position(|region| *region == act.region).context("the region is unknown")?;
        let answering = |all: &[Vec<String>]| all.get(place).map(|seen| seen.join(" and ")).unwrap_or_default();
        let told = told(&records, mended_us);
        println!("   {:<9}{} → {}; {told}", act.region, answering(usual), answering(&seen));
        Ok((records, told))
    }
}

impl Act {
    fn label(&self) -> String {
        format!("{} {}", self.fault, self.edge)
    }
}

/// The longest time in which a region asked nothing: its clock, and so everybody else's, stood still.
fn stall_us(record: &Record) -> u32 {
    let pairs = record.probes.windows(2);
    let between = pairs.filter_map(|pair| Some(pair.last()?.sent_us - pair.first()?.sent_us));
    between.max().and_then(|most| u32::try_from(most).ok()).unwrap_or(0)
}

/// What came of an act in all regions: until the repair, and from there on.
fn told(records: &[Record], mended_us: u64) -> String {
    let worst = |from_us, until_us| {
        let parts: Vec<Record> = records.iter().map(|record| record.between(from_us, until_us)).collect();
        let lost: usize = parts.iter().map(Record::missed).sum();
        (lost, parts.iter().map(Record::disturbed_us).max().unwrap_or(0))
    };
    let (lost, gap_us) = worst(0, mended_us);
    let (lost_after, _) = worst(mended_us, u64::MAX);
    let gap = if lost == 0 { String::new() } else { format!(", {}", ms(u32::try_from(gap_us).unwrap_or(u32::MAX))) };
    let after = if lost_after == 0 { String::new() } else { format!("; {lost_after} at the repair") };
    format!("{lost} lost{gap}{after}")
}

fn mended(act: &Act) -> String {
    let verb = match act.fault {
        Fault::Kill | Fault::Stop => "start",
        Fault::Freeze => "thaw",
        Fault::Drain => "undrain",
        Fault::Cut | Fault::Stale => "mend",
    };
    format!("{verb} {}", act.edge)
}

fn show(records: Vec<Record>, marks: Vec<Mark>, picture: &Path) -> anyhow::Result<()> {
    let title = "Who answers each region, and how fast, while edges fail".to_owned();
    let timeline = Timeline { title, records, marks };
    std::fs::write(picture, timeline.svg()).with_context(|| format!("writing {}", picture.display()))?;
    println!("\n   The same as a timeline:\n");
    for line in timeline.terminal(TERMINAL_COLUMNS, std::io::stdout().is_terminal()).lines() {
        println!("   {line}");
    }
    println!("\n   As a picture: {}", picture.display());
    Ok(())
}

fn micros(at: Instant, prober: &Prober) -> u64 {
    u64::try_from(at.saturating_duration_since(prober.begun()).as_micros()).unwrap_or(u64::MAX)
}

fn ms(micros: u32) -> String {
    format!("{:.0} ms", f64::from(micros) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_is_on_an_edge_of_the_plan() {
        let plan = parapet_lab::internet::Plan::standard();
        for act in &ACTS {
            let site = plan.sites.iter().find(|site| site.edges.iter().any(|edge| edge == act.edge));
            assert_eq!(site.map(|site| site.region), Some(act.region), "{}", act.edge);
        }
    }
}
