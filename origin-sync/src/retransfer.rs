//! Full transfers that an operator asked for, and how they end.

use tokio::sync::oneshot;
use wire::{Name, NameRef};

use crate::{Command, Error, OriginSync, stopped};

/// Operators that wait for the same zone; who comes after that is told nothing but that it runs.
const WAITERS_MAX: usize = 64;

/// A full transfer that was asked for.
#[derive(Debug)]
pub struct Retransfer(oneshot::Receiver<Result<Retransferred, String>>);

/// What a full transfer brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransferred {
    /// The serial of the copy that is served now.
    pub serial: u32,
    /// The records of that copy.
    pub records: u64,
}

impl Retransfer {
    /// Waits for its end: what it brought, or why the last origin that was asked did not give the zone. Further rounds
    /// are made by themselves then.
    ///
    /// # Errors
    /// The reason, in words.
    pub async fn outcome(self) -> Result<Retransferred, String> {
        self.0.await.unwrap_or_else(|_| Err("the zone was taken out of the configuration, or the node stops".into()))
    }
}

/// Those who wait for a zone's full transfer.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<oneshot::Sender<Result<Retransferred, String>>>);

impl Waiters {
    /// One more who waits.
    pub(crate) fn join(&mut self) -> Retransfer {
        let (sender, receiver) = oneshot::channel();
        self.0.retain(|waiter| !waiter.is_closed());
        if self.0.len() < WAITERS_MAX {
            self.0.push(sender);
        } else {
            let _ = sender.send(Err("too many wait for this zone's transfer already".into()));
        }
        Retransfer(receiver)
    }

    /// Tells all how it ended.
    pub(crate) fn tell(&mut self, outcome: &Result<Retransferred, String>) {
        for waiter in self.0.drain(..) {
            let _ = waiter.send(outcome.clone());
        }
    }
}

impl OriginSync {
    /// Fetches a zone whole, whatever its serial; `None` when the zone is not ours. Who asks while one runs that was asked
    /// for before waits for a transfer that begins now at the earliest.
    ///
    /// # Errors
    /// [`Error::Configuration`] when `zone` is not a name.
    pub async fn retransfer(&self, zone: &str) -> Result<Option<Retransfer>, Error> {
        let name = parse(zone)?;
        let (answer, answered) = oneshot::channel();
        self.command(Command::Retransfer(Box::new(name), answer)).await?;
        answered.await.map_err(|_| stopped())
    }

    /// The zone that a name is in, and how it is filled: the closest of ours at or above it.
    ///
    /// # Errors
    /// [`Error::Configuration`] when `name` is not a name.
    pub fn closest_zone(&self, name: &str) -> Result<Option<(String, config::Mode)>, Error> {
        let name = parse(name)?.to_ascii_lowercase();
        let above = std::iter::successors(Some(name.as_ref()), |name: &NameRef<'_>| name.parent());
        // The board has the configuration's spelling of names.
        let spelled = above.filter_map(|name| config::normalise_domain_name(&name.to_string()).ok());
        Ok(self.board.first_of(spelled))
    }
}

fn parse(name: &str) -> Result<Name, Error> {
    name.parse()
        .map_err(|error: wire::WireError| Error::Configuration { item: format!("zone {name}"), why: error.to_string() })
}
