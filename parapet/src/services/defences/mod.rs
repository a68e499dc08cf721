//! The defences of the node beside the way of a query: they are told the time, what happens is told and kept, what was
//! learned outlives the process, and orders count over what the file says.
//!
//! ```text
//!  network file ──> Said ──┐                        ┌── lanes: verdicts, counts, samples
//!  orders ──> Orders ──────┴─ merge ──> Filters <───┤
//!     └── defences.json                    │        └── task: every 100 ms samples ──> Top, Recent
//!  learned.state ──> at the start ──────>──┤                   every second tick ──> events ──> log, defence-events.jsonl
//!        └──<── every minute, at the end ──┘
//! ```

mod acting;
mod events;
mod learned;
mod merged;
pub(crate) mod orders;
pub(crate) mod report;
mod scope;
mod task;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::Config;
use filters::top::{Table, Top};
use filters::{Filters, ZoneNumber};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::acting::Acting;
use self::events::{Events, Recent};
use self::learned::LearnedFile;
use self::merged::Said;
use self::orders::{Order, Orders, OrdersFile};
use self::report::{Armed, DefencesReport, KeptEvent, LearnedStatus, OrderGiven};
use crate::reload::unix_s;
use crate::services::deaths;

/// The running defences.
#[derive(Debug)]
pub(crate) struct Defences {
    view: DefencesView,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The defences for whoever shows them, and for whoever orders something of them.
#[derive(Clone, Debug)]
pub(crate) struct DefencesView(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    filters: Arc<Filters>,
    zones: Arc<zones::Zones>,
    orders_file: OrdersFile,
    learned_file: LearnedFile,
    rules: Mutex<Rules>,
    watched: Mutex<Watched>,
    learned: ArcSwap<LearnedStatus>,
}

/// How often, and how many times, an order looks whether everybody goes by it.
const TOLD_LOOKS_EVERY: Duration = Duration::from_millis(2);
const TOLD_LOOKS_MAX: u32 = 250;

/// What was decided.
#[derive(Debug)]
struct Rules {
    said: Said,
    orders: Orders,
    /// The zones when the filters were told which normal rates were set by hand; none if there are no such rates.
    told_of: Option<Arc<zones::ZoneTable>>,
    /// What could not be read or kept.
    problems: Vec<String>,
}

/// What was seen.
#[derive(Debug)]
struct Watched {
    top: Top,
    recent: Recent,
    events: Events,
    acting: Acting,
    armed: BTreeMap<(String, String), Armed>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Defences {
    /// Makes the filters know what they knew before, and what counts now; from then on they are looked after.
    pub(crate) fn start(config: &Config, filters: Arc<Filters>, zones: Arc<zones::Zones>) -> Self {
        let state_dir = &config.node.state_dir;
        let orders_file = OrdersFile::within(state_dir);
        let (orders, told_of_orders) = orders_file.read();
        let (events, told_of_events) = Events::read(state_dir);
        let learned_file = LearnedFile::within(state_dir);
        let learned = learned_file.load(&filters, &zones);
        let told = learned.refused.clone().into_iter().chain(told_of_orders).chain(told_of_events);
        let problems: Vec<String> = told.inspect(|told| tracing::warn!("{told}")).collect();
        let defences = &config.node.defences;
        let shared = Shared {
            filters,
            zones,
            orders_file,
            learned_file,
            rules: Mutex::new(Rules { said: Said::by(config), orders, told_of: None, problems }),
            watched: Mutex::new(Watched {
                top: Top::new(defences.ipv4_prefix, defences.ipv6_prefix),
                recent: Recent::default(),
                events,
                acting: Acting::default(),
                armed: BTreeMap::new(),
            }),
            learned: ArcSwap::from_pointee(learned),
        };
        let view = DefencesView(Arc::new(shared));
        view.put_in_force(&mut lock(&view.0.rules));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(task::run(Arc::clone(&view.0), stopped));
        Self { view, stop, task }
    }

    /// The file, or the command line, says something else now.
    pub(crate) fn apply(&self, config: &Config) {
        let said = Said::by(config);
        let mut rules = lock(&self.view.0.rules);
        if rules.said != said {
            rules.said = said;
            self.view.put_in_force(&mut rules);
            tracing::info!("the defences are those of the configuration");
        }
    }

    /// For whoever shows them.
    pub(crate) fn view(&self) -> DefencesView {
        self.view.clone()
    }

    /// Keeps what was learned, and ends.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(why) = self.task.await {
            tracing::error!(%why, "the defences did not stop well");
        }
    }
}

impl DefencesView {
    fn put_in_force(&self, rules: &mut Rules) {
        let merged = merged::merge(&rules.said, &rules.orders);
        lock(&self.0.watched).top.set_prefixes(merged.ipv4_prefix, merged.ipv6_prefix);
        self.0.filters.apply(&merged);
        self.tell_normal(rules);
    }

    /// Tells the filters what is normal for zones by hand. A zone that goes and comes again has another number.
    fn tell_normal(&self, rules: &mut Rules) {
        let table = Arc::clone(&self.0.zones.load());
        let by_hand = merged::normal_by_hand(&rules.said, &rules.orders);
        let number = |(zone, per_s): (&String, &u32)| {
            let apex: wire::Name = zone.parse().ok()?;
            Some((ZoneNumber(table.get(apex.as_ref())?.number()), *per_s))
        };
        self.0.filters.set_normal_by_hand(&by_hand.iter().filter_map(number).collect());
        rules.told_of = (!by_hand.is_empty()).then_some(table);
    }

    /// The filters themselves: counts, policy, what is known of a source.
    pub(crate) fn filters(&self) -> &Arc<Filters> {
        &self.0.filters
    }

    /// What holds, who says so, and what is armed.
    pub(crate) fn report(&self) -> DefencesReport {
        let rules = lock(&self.0.rules);
        DefencesReport {
            settings: merged::settings(&rules.said, &rules.orders),
            sources: merged::sources(&rules.said, &rules.orders),
            zones: merged::zones(&rules.said, &rules.orders),
            armed: self.armed(),
            learned: (**self.0.learned.load()).clone(),
            problems: rules.problems.clone(),
        }
    }

    /// What is armed now.
    pub(crate) fn armed(&self) -> Vec<Armed> {
        lock(&self.0.watched).armed.values().cloned().collect()
    }

    /// The last events, the oldest first.
    pub(crate) fn events(&self) -> Vec<KeptEvent> {
        lock(&self.0.watched).events.all().cloned().collect()
    }

    /// Who asks for what now; so many rows of each kind.
    pub(crate) fn top(&self, rows: usize) -> Table {
        lock(&self.0.watched).top.table(edge::filter_time(), rows)
    }

    /// The name of a zone that the filters know by its number, while the node has it.
    pub(crate) fn zone_name(&self, number: filters::ZoneNumber) -> Option<String> {
        scope::zone_name(&self.0.zones, number)
    }

    /// Carries an order out, at once and until it is taken back, over restarts too.
    ///
    /// # Errors
    /// Why it makes no sense, with what would.
    pub(crate) async fn order(&self, order: Order) -> Result<OrderGiven, String> {
        let view = self.clone();
        // It writes to the disk.
        let carried_out = tokio::task::spawn_blocking(move || view.carry_out(order)).await;
        carried_out.unwrap_or_else(|why| Err(format!("the order was not carried out: {why}")))
    }

    fn carry_out(&self, order: Order) -> Result<OrderGiven, String> {
        if let Order::Release { numbers } = order {
            return self.release(&numbers);
        }
        let mut rules = lock(&self.0.rules);
        let told = format!("{order:?}");
        let note = note(&rules, &order);
        let rules_now = &mut *rules;
        let said = &rules_now.said;
        if !rules_now.orders.give(order, |prefix| said.lists(prefix), unix_s() as u64)? {
            return Ok(OrderGiven { changed: false, not_kept: None, note });
        }
        // In a flood it counts first, and is kept then.
        self.put_in_force(&mut rules);
        self.wait_until_told();
        tracing::info!(order = told, "an order changed the defences");
        Ok(OrderGiven { changed: true, not_kept: self.keep_orders(&mut rules), note })
    }

    /// An order counts when it is acknowledged, in the kernel lane too: it looks every few dozen milliseconds.
    fn wait_until_told(&self) {
        for _ in 0..TOLD_LOOKS_MAX {
            if self.0.filters.is_told() {
                return;
            }
            std::thread::sleep(TOLD_LOOKS_EVERY);
        }
        tracing::warn!("the kernel lane has not yet taken note of an order");
    }

    /// Has what is kept away answered again.
    fn release(&self, numbers: &[u32]) -> Result<OrderGiven, String> {
        let kept: Vec<_> = self.0.filters.quarantined(edge::filter_time());
        if let Some(unknown) = numbers.iter().find(|number| kept.iter().all(|kept| kept.number != **number)) {
            return Err(format!("nothing with the number {unknown} is kept away: `parapet defences` lists what is"));
        }
        let mut changed = false;
        for kept in kept.iter().filter(|kept| numbers.is_empty() || numbers.contains(&kept.number)) {
            changed |= self.0.filters.release(kept.number);
            tracing::info!(like = kept.like, "an order released a query of death");
        }
        let note =
            changed.then(|| format!("until its time is over a restart keeps away again what is in {}", deaths::FOLDER));
        Ok(OrderGiven { changed, not_kept: None, note })
    }

    /// Writes the orders; says why not, and has it shown as long as it is so.
    fn keep_orders(&self, rules: &mut Rules) -> Option<String> {
        const NOT_KEPT: &str = "the orders are not kept over a restart: ";
        let why = self.0.orders_file.write(&rules.orders).err();
        rules.problems.retain(|problem| !problem.starts_with(NOT_KEPT));
        if let Some(why) = &why {
            tracing::error!("{NOT_KEPT}{why}");
            rules.problems.push(format!("{NOT_KEPT}{why}"));
        }
        why
    }

    /// Takes back orders that ended, and follows the zones that come and go.
    fn follow(&self) {
        let mut rules = lock(&self.0.rules);
        let over = rules.orders.end(unix_s() as u64);
        if rules.told_of.as_ref().is_some_and(|told| !Arc::ptr_eq(told, &self.0.zones.load())) {
            self.tell_normal(&mut rules);
        }
        for (prefix, placed) in &over {
            let list = placed.list.map_or("no list", orders::List::as_str);
            tracing::info!(%prefix, list, why = placed.why, "an order has ended; what the file says counts again");
        }
        if !over.is_empty() {
            self.put_in_force(&mut rules);
            let _ = self.keep_orders(&mut rules);
        }
    }
}

/// What the one who ordered should know: an order that has no effect.
fn note(rules: &Rules, order: &Order) -> Option<String> {
    let Order::Put { prefix, list, .. } = order else { return None };
    let prefix = prefix.parse().ok()?;
    let of_network = rules.said.own.contains(&prefix) && *list != Some(orders::List::Allow);
    of_network
        .then(|| format!("{prefix} is the node's own, an origin's or another node's: it is never limited all the same"))
}
