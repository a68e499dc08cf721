//! `bench attack`: real clients beside every attack at rising loads, against servers with their defences on.
//!
//! ```text
//!   one subject    start, warm-up │ attack 1 │ rest │ attack 2 │ rest │ …
//!   one attack     calm │ 50 k/s │ 100 k/s │ 200 k/s │ 400 k/s
//!   one load       what is asked now counts … │ … what is asked now does not, but has its load
//! ```
//!
//! The loads of an attack follow each other without a pause. What real clients ask in the first seconds of a load counts, and
//! what they repeat of it still meets that load; the last seconds are there for that. The calm before an attack is what its
//! latency is compared with. A subject that dies is started again, once it has been said that it did; what could not be
//! measured is said at the end, and does not keep the rest from being measured.

mod figures;
mod stage;

use std::time::{Duration, Instant};

use parapet_lab::{
    attack::Attack,
    clients::{CLIENT_CORE, Defender, Fill, Ground, keep_to},
};

use super::{
    Options, load, progress,
    report::{Report, Samples},
};
use crate::subject::Subject;
use figures::{BARE, LOWER};
use stage::{Stage, Timing};

/// What is measured unless told otherwise; the crowd first, while nobody has a reason to be alarmed.
pub(crate) const ATTACKS: [Attack; 10] = [
    Attack::FlashCrowd,
    Attack::Client,
    Attack::Prefix,
    Attack::RandomSources,
    Attack::RandomNames,
    Attack::Resolvers,
    Attack::Reflection,
    Attack::Malformed,
    Attack::Tcp,
    Attack::Mixture,
];
/// The attacks that a cache in front of its origin has to fear.
pub(crate) const ATTACKS_ON_DEMAND: [Attack; 3] = [Attack::RandomSources, Attack::RandomNames, Attack::Resolvers];
/// Packets a second.
pub(crate) const LOADS: [u32; 4] = [50_000, 100_000, 200_000, 400_000];
/// The same with the kernel lane.
pub(crate) const LOADS_KERNEL: [u32; 5] = [50_000, 100_000, 200_000, 400_000, 600_000];
/// Seconds of a load: those that count, and those that what was asked in them is repeated in.
pub(crate) const SECONDS: u32 = 5;
/// Of the seconds of a load so many at its end do not count.
const REPEATS_S: u32 = 2;
/// The whole matrix ends within this time: what has not been measured by then is left out, and said.
const WHOLE_MAX: Duration = Duration::from_secs(28 * 60);
/// A subject is started again so often, at most.
const DEATHS_MAX: u32 = 3;

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    load::need_two_cores()?;
    let matrix = Matrix::new(options);
    let mut samples = Samples::new("attack", options.subjects()).against_the_best(&LOWER, &BARE);
    progress(&format!("building the ground; all of it takes about {}", minutes(matrix.left(0, 0))));
    keep_to(CLIENT_CORE)?;
    let ground = Ground::build("bench-attack")?.lanes(options.lane)?;
    for (number, &subject) in options.subjects().iter().enumerate() {
        if let Err(why) = matrix.measure(&ground, (number, subject), &mut samples) {
            let note = format!("{}: {why:#}", subject.name());
            progress(&note);
            samples.note(note);
        }
    }
    Ok(samples.finish())
}

/// All that is to be measured, and until when.
struct Matrix<'o> {
    options: &'o Options,
    timing: Timing,
    fill: Fill,
    begun: Instant,
}

impl Matrix<'_> {
    fn new(options: &Options) -> Matrix<'_> {
        let seconds = options.seconds();
        let timing = Timing {
            load_s: seconds,
            counts_s: seconds.saturating_sub(REPEATS_S).max(1),
            rest_s: options.rest,
            warm_up_s: options.warm_up,
        };
        let fill = if options.on_demand { Fill::OnDemand } else { Fill::Push };
        Matrix { options, timing, fill, begun: Instant::now() }
    }

    /// One subject in all attacks.
    fn measure(
        &self,
        ground: &Ground,
        (number, subject): (usize, Subject),
        samples: &mut Samples,
    ) -> anyhow::Result<()> {
        let name = subject.name();
        let start = || {
            progress(&format!("{name}: starts, and has {} s to learn what is normal", self.timing.warm_up_s));
            Stage::start(ground, defender(subject)?, self.fill, self.timing)
        };
        let (mut stage, mut deaths) = (start()?, 0);
        let (attacks, loads) = (self.options.attacks(), self.options.loads());
        for (at, &attack) in attacks.iter().enumerate() {
            if self.begun.elapsed() + self.timing.of_attack(loads.len()) > self.limit() {
                let left = attacks.get(at..).unwrap_or_default();
                let left: Vec<&str> = left.iter().map(|attack| attack.name()).collect();
                samples.note(format!("{name}: no time was left for {}", left.join(", ")));
                break;
            }
            progress(&format!(
                "{name} ({} of {}), {attack} ({} of {}); about {} left",
                number + 1,
                self.options.subjects().len(),
                at + 1,
                attacks.len(),
                minutes(self.left(number, at)),
            ));
            let (cells, ended) = stage.attack(attack, loads);
            for (load, cell) in loads.iter().zip(&cells) {
                cell.add(samples, name, &format!("{attack} {load}/s"), attack);
                progress(&format!("    {load}/s: {cell}"));
            }
            let Err(why) = ended else { continue };
            samples.note(format!("{name}, {attack}: {why:#}"));
            progress(&format!("{name}, {attack}: {why:#}"));
            deaths += 1;
            if deaths > DEATHS_MAX {
                anyhow::bail!("has failed {deaths} times, and is not started again");
            }
            stage.end();
            stage = start()?;
        }
        stage.end();
        Ok(())
    }

    /// The time that is left from this attack of this subject on.
    fn left(&self, subject: usize, attack: usize) -> Duration {
        let attacks = self.options.attacks().len();
        let subjects = self.options.subjects().len() - subject;
        let runs = (subjects * attacks - attack) as u32;
        let starts = subjects - usize::from(attack > 0);
        self.timing.of_attack(self.options.loads().len()) * runs + self.timing.of_start() * starts as u32
    }

    /// Who asks for more than the whole matrix gets the time it takes.
    fn limit(&self) -> Duration {
        if self.options.seconds() > SECONDS || self.options.loads().len() > LOADS.len() {
            self.left(0, 0) * 2
        } else {
            WHOLE_MAX
        }
    }
}

fn defender(subject: Subject) -> anyhow::Result<Defender> {
    Ok(match subject {
        Subject::Parapet => Defender::Parapet,
        Subject::Knot => Defender::Knot,
        Subject::Nsd => Defender::Nsd,
        Subject::Bind => Defender::Bind,
        Subject::Dnsdist => Defender::Dnsdist,
        _ => anyhow::bail!("is no authoritative server with defences"),
    })
}

fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
