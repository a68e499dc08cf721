//! Turns the records of a transfer into the next copy of a zone.

use std::sync::Arc;

use wire::{Name, NameRef, Rtype};
use zones::{Difference, Zone, ZoneBuilder, ZoneError};

use crate::error::Error;
use crate::transfer::{Limits, Sink};

/// Gathers the records of one transfer.
pub(crate) struct Copy {
    apex: Name,
    question: Rtype,
    limits: zones::Limits,
    gathered: Gathered,
}

enum Gathered {
    Nothing,
    Whole(Box<ZoneBuilder>),
    Differences { done: Vec<Difference>, current: Difference },
}

/// The next copy of a zone, and how it came about.
pub(crate) enum Next {
    /// From all its records.
    Whole(Zone),
    /// From our copy and these differences.
    Differences(Zone, Vec<Difference>),
}

impl Next {
    /// The copy itself.
    pub(crate) fn zone(&self) -> &Zone {
        match self {
            Next::Whole(zone) | Next::Differences(zone, _) => zone,
        }
    }
}

impl Copy {
    pub(crate) fn new(apex: Name, question: Rtype, limits: Limits) -> Copy {
        let limits = zones::Limits { records_max: limits.records_max, bytes_max: limits.bytes_max };
        Copy { apex, question, limits, gathered: Gathered::Nothing }
    }

    /// Makes the next copy. It takes a while for a large zone; call it where blocking is allowed.
    pub(crate) fn finish(self, base: Option<&Arc<Zone>>) -> Result<Next, Error> {
        let question = self.question;
        let unfit = |source| Error::Zone { question, source };
        match (self.gathered, base) {
            (Gathered::Whole(builder), _) => Ok(Next::Whole(builder.finish().map_err(unfit)?)),
            (Gathered::Differences { done, .. }, Some(base)) => {
                let zone = base.apply_all(&done, &self.limits).map_err(unfit)?;
                Ok(Next::Differences(zone, done))
            }
            _ => Err(Error::NoSoa { question, apex: Box::new(self.apex) }),
        }
    }

    fn unfit(&self) -> impl FnOnce(ZoneError) -> Error + use<> {
        let question = self.question;
        move |source| Error::Zone { question, source }
    }

    fn current(&mut self) -> Option<&mut Difference> {
        match &mut self.gathered {
            Gathered::Differences { current, .. } => Some(current),
            _ => None,
        }
    }
}

impl Sink for Copy {
    fn begin_whole(&mut self) -> Result<(), Error> {
        self.gathered = Gathered::Whole(Box::new(ZoneBuilder::new(self.apex, self.limits)));
        Ok(())
    }

    fn begin_difference(&mut self, _: u32) -> Result<(), Error> {
        if !matches!(self.gathered, Gathered::Differences { .. }) {
            self.gathered = Gathered::Differences { done: Vec::new(), current: Difference::new() };
        }
        Ok(())
    }

    fn end_difference(&mut self, _: u32) -> Result<(), Error> {
        if let Gathered::Differences { done, current } = &mut self.gathered {
            done.push(std::mem::take(current));
        }
        Ok(())
    }

    fn add(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), Error> {
        let unfit = self.unfit();
        match &mut self.gathered {
            Gathered::Whole(builder) => builder.add(owner, rtype, ttl, rdata).map_err(unfit),
            Gathered::Differences { current, .. } => current.add(owner, rtype, ttl, rdata).map_err(unfit),
            Gathered::Nothing => Ok(()),
        }
    }

    fn delete(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), Error> {
        let unfit = self.unfit();
        self.current().map_or(Ok(()), |current| current.delete(owner, rtype, ttl, rdata).map_err(unfit))
    }
}
