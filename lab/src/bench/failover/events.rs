//! One thing that befalls an edge after the other, and what the regions saw of it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parapet_lab::{failover::Case, prober::Record};

use super::{progress, stage::Stage};

/// All regions are answered for so long without a loss before something happens, and after it before it is repaired.
const STEADY: Duration = Duration::from_millis(400);
/// Others answer in place of an edge within this time, or the case is hopeless.
const OTHERS_DEADLINE: Duration = Duration::from_secs(20);
/// It is all as before within this time of the repair.
const RETURN_DEADLINE: Duration = Duration::from_secs(40);

/// So many events of a case may come to nothing: a machine that stalls is no finding about who runs on it.
const FAILURES_MAX: u32 = 3;
/// Events that are evaluated together.
const EVALUATED_TOGETHER: usize = 5;

/// What one event cost.
pub(super) struct Event {
    /// Queries without a good answer, of all regions.
    pub(super) lost: usize,
    /// From the first such query to the last, in the region where that took longest.
    pub(super) unanswered_us: u64,
    /// Queries without a good answer while the edge came back.
    pub(super) return_lost: usize,
}

/// Times of the prober.
struct Window {
    begin_us: u64,
    repaired_us: u64,
    end_us: u64,
}

pub(super) fn run(stage: &mut Stage, case: Case, times: u32) -> anyhow::Result<Vec<Event>> {
    let begun = Instant::now();
    let mut windows = Vec::new();
    let mut events = Vec::new();
    let mut failures = 0;
    while events.len() + windows.len() < times as usize {
        let number = events.len() + windows.len();
        let failed = match one(stage, case, number).with_context(|| format!("event {}", number + 1)) {
            Ok(window) => {
                windows.push(window);
                false
            }
            Err(error) if failures < FAILURES_MAX && !parapet_lab::is_ending() => {
                progress(&format!("{}: {}: {error:#}; once more in a new network", stage.subject.name(), case.name()));
                true
            }
            Err(error) => return Err(error),
        };
        let done = events.len() + windows.len();
        // The prober forgets what was long ago.
        if failed || windows.len() >= EVALUATED_TOGETHER || done == times as usize {
            for window in windows.drain(..) {
                events.push(evaluate(stage, &window)?);
            }
            let took = begun.elapsed().as_secs_f64();
            progress(&format!("{}: {} {done} of {times} ({took:.0} s)", stage.subject.name(), case.name()));
        }
        if failed {
            failures += 1;
            stage.rebuild()?;
        }
    }
    Ok(events)
}

/// One event, from all is well to all is as it was.
fn one(stage: &mut Stage, case: Case, number: usize) -> anyhow::Result<Window> {
    let before = stage.settled.clone();
    let as_before = |seen: &[Vec<String>]| seen == before;
    stage.prober.wait_for("all as at the start", STEADY, RETURN_DEADLINE, as_before).context("before")?;
    let victim = victim(stage, &before, number)?;
    let seat = stage.ground.seats.get(victim).context("a seat")?.clone();
    let node = stage.nodes.get_mut(victim).context("a node")?;
    let begin_us = stage.prober.now_us();
    let fallen = case.befall(node, &seat).context("letting it happen")?;
    if case == Case::Stale {
        stage.change_zone(victim).context("changing the zone")?;
    }
    let gone = |seen: &[Vec<String>]| !seen.iter().flatten().any(|edge| *edge == seat.name);
    let what = format!("others than {}", seat.name);
    stage.prober.wait_for(&what, STEADY, OTHERS_DEADLINE, gone).context("after it happened")?;
    let repaired_us = stage.prober.now_us();
    // A frozen edge answers what has waited for it as soon as it goes on; by then nobody is to wait any more.
    stage.prober.decided(begin_us, repaired_us).context("what was lost")?;
    let node = stage.nodes.get_mut(victim).context("a node")?;
    fallen.repair(node).context("repairing it")?;
    if case == Case::Stale {
        stage.wait_for_change(victim).context("the zone at the repaired edge")?;
    }
    let as_before = |seen: &[Vec<String>]| seen == before;
    stage
        .prober
        .wait_for("all as before", STEADY, RETURN_DEADLINE, as_before)
        .with_context(|| format!("after the repair of {}; before: {before:?}", seat.name))?;
    Ok(Window { begin_us, repaired_us, end_us: stage.prober.now_us() })
}

/// One of the edges that answer somebody now: each in its turn.
fn victim(stage: &Stage, answering: &[Vec<String>], number: usize) -> anyhow::Result<usize> {
    let serves = |name: &str| answering.iter().flatten().any(|edge| edge == name);
    let seats = stage.ground.seats.iter().enumerate();
    let serving: Vec<usize> = seats.filter(|(_, seat)| serves(&seat.name)).map(|(place, _)| place).collect();
    match serving.len() {
        0 => bail!("nobody answers"),
        count => Ok(serving.get(number % count).copied().unwrap_or_default()),
    }
}

fn evaluate(stage: &Stage, window: &Window) -> anyhow::Result<Event> {
    let fall = stage.prober.decided(window.begin_us, window.repaired_us)?;
    let back = stage.prober.decided(window.repaired_us, window.end_us)?;
    let lost = |records: &[Record]| records.iter().map(Record::missed).sum();
    let unanswered_us = fall.iter().map(Record::disturbed_us).max().unwrap_or(0);
    Ok(Event { lost: lost(&fall), unanswered_us, return_lost: lost(&back) })
}
