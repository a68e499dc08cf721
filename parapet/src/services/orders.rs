//! What an operator orders of zones: to forget what is cached, to fetch now. Both may be repeated at will.

use std::time::Duration;

use origin_sync::{Retransfer, Retransferred};

use super::ServicesView;
use crate::control::WORK_MAX;
use crate::control::protocol::{Fill, FillOutcome, Filled, Purge, Purged, PurgedZone};

/// What the answer itself may take of the time that an order has.
const ANSWER_MAX: Duration = Duration::from_secs(2);

impl ServicesView {
    /// Forgets what is cached of a name.
    pub(crate) async fn purge(&self, purge: &Purge) -> Result<Purged, String> {
        let name = normalise(&purge.name)?;
        let sync = self.sync.upgrade().ok_or_else(stopping)?;
        let closest = sync.closest_zone(&name).map_err(|why| why.to_string())?;
        let Some((zone, _)) = closest else {
            return Err(format!("no zone of this node has the name {name}: `parapet zones` lists its zones"));
        };
        Ok(Purged { zones: vec![PurgedZone { zone, mode: FULL_COPY.to_owned(), removed: 0 }] })
    }

    /// Fetches a zone now, and waits for the outcome for a bounded time.
    pub(crate) async fn fill(&self, fill: &Fill) -> Result<Filled, String> {
        let zone = normalise(&fill.zone)?;
        let begun = {
            // Not held while the transfer runs: the daemon may want to stop.
            let sync = self.sync.upgrade().ok_or_else(stopping)?;
            sync.retransfer(&zone).await.map_err(|why| why.to_string())?
        };
        let Some(transfer) = begun else {
            return Err(format!("this node has no zone {zone}: `parapet zones` lists its zones"));
        };
        let Retransferred { serial, records } = wait(transfer).await?;
        Ok(Filled { zone, outcome: FillOutcome::Fetched { serial, records } })
    }
}

/// How [`PurgedZone::mode`] calls zones that are no caches.
pub(crate) const FULL_COPY: &str = "full-copy";

async fn wait(transfer: Retransfer) -> Result<Retransferred, String> {
    let patience = WORK_MAX.saturating_sub(ANSWER_MAX);
    match tokio::time::timeout(patience, transfer.outcome()).await {
        Ok(outcome) => outcome.map_err(|why| format!("no origin gave the zone: {why}")),
        Err(_) => Err(format!(
            "the transfer goes on after {} s: `parapet zones` says how it ends, asking again waits for it",
            patience.as_secs()
        )),
    }
}

fn normalise(name: &str) -> Result<String, String> {
    config::normalise_domain_name(name).map_err(|why| format!("{name:?} is no domain name: expected {why}"))
}

fn stopping() -> String {
    "the node is stopping".to_owned()
}
