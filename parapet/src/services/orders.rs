//! What an operator orders of zones: to forget what is cached, to fetch now. Both may be repeated at will.

use std::time::Duration;

use config::Mode;
use origin_sync::{PurgeOutcome, Refilled, Retransfer, Retransferred};

use super::ServicesView;
use crate::control::WORK_MAX;
use crate::control::protocol::{Fill, FillOutcome, Filled, Purge, Purged, PurgedZone};

/// What the answer itself may take of the time that an order has.
const ANSWER_MAX: Duration = Duration::from_secs(2);

impl ServicesView {
    /// Forgets what is cached of a name, in every zone that it touches. Full copies have nothing to forget.
    pub(crate) async fn purge(&self, purge: &Purge) -> Result<Purged, String> {
        let name = normalise(&purge.name)?;
        let (on_demand, closest) = {
            let sync = self.sync.upgrade().ok_or_else(stopping)?;
            (sync.on_demand(), sync.closest_zone(&name).map_err(|why| why.to_string())?)
        };
        let wire_name: wire::Name = name.parse().map_err(|why| format!("{name}: {why}"))?;
        let purged = on_demand.purge(wire_name.as_ref(), purge.subtree).await;
        let purged = purged.into_iter().map(|PurgeOutcome { zone, mode, removed }| PurgedZone {
            zone,
            mode: mode.as_str().to_owned(),
            removed,
        });
        let mut zones: Vec<_> = purged.collect();
        if let Some((zone, mode)) = closest
            && mode != Mode::OnDemand
        {
            zones.push(PurgedZone { zone, mode: FULL_COPY.to_owned(), removed: 0 });
        }
        if zones.is_empty() {
            return Err(format!("no zone of this node has the name {name}: `parapet zones` lists its zones"));
        }
        Ok(Purged { zones })
    }

    /// Fetches a zone now, and waits for the outcome for a bounded time. Of a zone that is filled on demand, and that its
    /// origins do not give away whole, what the cache has is asked for again.
    pub(crate) async fn fill(&self, fill: &Fill) -> Result<Filled, String> {
        let zone = normalise(&fill.zone)?;
        let (on_demand, begun) = {
            // Not held while the transfer runs: the daemon may want to stop.
            let sync = self.sync.upgrade().ok_or_else(stopping)?;
            (sync.on_demand(), sync.retransfer(&zone).await.map_err(|why| why.to_string())?)
        };
        let failed = match begun {
            Some(transfer) => match wait(transfer).await {
                Waited::Fetched(Retransferred { serial, records }) => {
                    return Ok(Filled { zone, outcome: FillOutcome::Fetched { serial, records } });
                }
                Waited::Failed(why) => format!("no origin gave the zone: {why}"),
                Waited::InVain(waited) => return Err(goes_on(waited)),
            },
            None => format!("this node has no zone {zone}: `parapet zones` lists its zones"),
        };
        let apex: wire::Name = zone.parse().map_err(|why| format!("{zone}: {why}"))?;
        let Some(Refilled { asked, answered, failed, left }) = on_demand.fill(apex.as_ref()).await else {
            return Err(failed);
        };
        Ok(Filled { zone, outcome: FillOutcome::Refilled { asked, answered, failed, left } })
    }
}

/// How [`PurgedZone::mode`] calls zones that are no caches.
pub(crate) const FULL_COPY: &str = "full-copy";

/// What came of waiting for a transfer.
enum Waited {
    Fetched(Retransferred),
    Failed(String),
    InVain(Duration),
}

async fn wait(transfer: Retransfer) -> Waited {
    let patience = WORK_MAX.saturating_sub(ANSWER_MAX);
    match tokio::time::timeout(patience, transfer.outcome()).await {
        Ok(Ok(fetched)) => Waited::Fetched(fetched),
        Ok(Err(why)) => Waited::Failed(why),
        Err(_) => Waited::InVain(patience),
    }
}

fn goes_on(waited: Duration) -> String {
    let seconds = waited.as_secs();
    format!("the transfer goes on after {seconds} s: `parapet zones` says how it ends, asking again waits for it")
}

fn normalise(name: &str) -> Result<String, String> {
    config::normalise_domain_name(name).map_err(|why| format!("{name:?} is no domain name: expected {why}"))
}

fn stopping() -> String {
    "the node is stopping".to_owned()
}
