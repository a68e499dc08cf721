//! The task that looks after the filters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::{Defence, Event, Phase, Sample};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::acting::{Turn, refused};
use super::report::{Armed, KeptEvent, LearnedStatus};
use super::{DefencesView, Shared, Watched, lock, scope};
use crate::reload::unix_s;

/// The time between two looks at the samples: the lanes fill their queue in no less than a second.
const SAMPLES_EVERY: Duration = Duration::from_millis(100);
/// The time between two ticks of the filters.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// The time between two attempts to keep what was learned.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// Samples of an event that are in the log.
const LOGGED_MAX: usize = 3;

/// Looks after the filters until it is to stop; keeps what was learned then.
pub(super) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut looks = tokio::time::interval(SAMPLES_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ticked, mut kept) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            // Whoever could say so is gone.
            stopped = stop.changed() => if stopped.is_err() || *stop.borrow() { break },
            _ = looks.tick() => {
                take_samples(&shared);
                let passed = ticked.elapsed();
                if passed >= TICK_EVERY {
                    ticked = Instant::now();
                    tick(&shared, passed);
                }
                if kept.elapsed() >= KEEP_EVERY {
                    kept = Instant::now();
                    keep(&shared).await;
                }
            }
        }
    }
    keep(&shared).await;
}

fn take_samples(shared: &Shared) {
    let watched = &mut *lock(&shared.watched);
    // No more than are there now: the lanes go on.
    for _ in 0..shared.filters.samples().len() {
        let Some(sample) = shared.filters.samples().pop() else { break };
        watched.top.add(&sample);
        watched.recent.add(sample);
    }
}

/// A second has passed.
fn tick(shared: &Arc<Shared>, passed: Duration) {
    DefencesView(Arc::clone(shared)).follow();
    let events = shared.filters.tick(edge::filter_time());
    let counts = shared.filters.counts();
    let watched = &mut *lock(&shared.watched);
    let turns = watched.acting.look(|filter| refused(&counts, filter), passed.as_secs_f64());
    for event in events {
        let scope = scope::in_words(&shared.zones, &event.scope);
        let samples = |watched: &Watched| watched.recent.pick(|sample| scope::has(&event.scope, sample));
        tell(watched, happened(&event, scope), samples);
    }
    let policy = shared.filters.policy();
    for Turn { filter, acts, per_s } in turns {
        let of_filter = |sample: &Sample| sample.filter == Some(filter);
        let what = Happened {
            defence: filter.as_str(),
            armed: acts,
            scope: "node".to_owned(),
            per_s,
            normal_per_s: 0.0,
            observed: policy.mode(filter) == config::DefenceMode::Observe,
        };
        tell(watched, what, |watched| watched.recent.pick(of_filter));
    }
}

/// What is to be told.
struct Happened {
    defence: &'static str,
    armed: bool,
    scope: String,
    per_s: f64,
    normal_per_s: f64,
    observed: bool,
}

fn happened(event: &Event, scope: String) -> Happened {
    let defence = match event.defence {
        Defence::Miss => "miss",
        Defence::RandomSource => "random-source",
        Defence::RandomName => "random-name",
    };
    let armed = event.phase == Phase::Armed;
    let Event { per_s, normal_per_s, .. } = *event;
    Happened { defence, armed, scope, per_s, normal_per_s, observed: false }
}

/// Logs it, keeps it, and remembers what is armed.
fn tell(watched: &mut Watched, what: Happened, samples: impl FnOnce(&Watched) -> Vec<super::report::EventSample>) {
    let Happened { defence, armed, scope, per_s, normal_per_s, observed } = what;
    let now = unix_s();
    let key = (defence.to_owned(), scope.clone());
    let before = match armed {
        true => {
            let armed = Armed { defence: key.0.clone(), scope: scope.clone(), since_unix_s: now, per_s, normal_per_s };
            watched.armed.insert(key, armed)
        }
        false => watched.armed.remove(&key),
    };
    let armed_s = before.filter(|_| !armed).map(|before| now - before.since_unix_s);
    let samples = samples(watched);
    let shown: Vec<String> = samples.iter().take(LOGGED_MAX).map(ToString::to_string).collect();
    let shown = shown.join("; ");
    let (per_s_rounded, normal) = (per_s.round(), normal_per_s.round());
    if armed {
        tracing::warn!(defence, scope, per_s = per_s_rounded, normal, observed, samples = shown, "a defence is armed");
    } else {
        tracing::info!(
            defence,
            scope,
            per_s = per_s_rounded,
            normal,
            armed_s = armed_s.map(f64::round),
            "a defence rests"
        );
    }
    let event = KeptEvent {
        unix_s: now,
        defence: defence.to_owned(),
        phase: if armed { "armed" } else { "rested" }.to_owned(),
        scope,
        per_s,
        normal_per_s,
        armed_s,
        samples,
    };
    if let Err(why) = watched.events.keep(event) {
        tracing::error!(%why, "the event is not kept over a restart");
    }
}

/// Keeps what was learned, and shows how that went.
async fn keep(shared: &Arc<Shared>) {
    let of_task = Arc::clone(shared);
    let kept = tokio::task::spawn_blocking(move || of_task.learned_file.keep(&of_task.filters, &of_task.zones)).await;
    let not_kept = kept.unwrap_or_else(|why| Err(why.to_string())).err();
    let before = shared.learned.load();
    match (&not_kept, &before.not_kept) {
        (Some(why), None) => tracing::error!(%why, "what was learned is not kept over a restart"),
        (None, Some(_)) => tracing::info!("what was learned is kept over a restart again"),
        _ => {}
    }
    let kept_unix_s = if not_kept.is_none() { Some(unix_s()) } else { before.kept_unix_s };
    shared.learned.store(Arc::new(LearnedStatus { kept_unix_s, not_kept, ..(**before).clone() }));
}
