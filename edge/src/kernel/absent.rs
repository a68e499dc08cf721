//! In the place of the kernel lane, where the daemon was built without it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use cache::Cache;
use config::{Defences, KernelMode};
use filters::Filters;
use zones::Zones;

use super::{Answers, KernelCounters, LaneStatus, TakenOver, Wanted};
use crate::Settings;

/// Why there is no kernel lane.
#[derive(Debug, thiserror::Error)]
#[error("this daemon was built without the kernel lane (feature `kernel`)")]
pub struct KernelError;

/// There is none.
#[derive(Debug)]
pub enum KernelLane {}

/// There is none to be had.
///
/// # Errors
///
/// It is required.
pub fn open(wanted: &Wanted<'_>) -> Result<(Option<KernelLane>, LaneStatus), KernelError> {
    let mut status = LaneStatus::new(wanted.lanes.kernel);
    match wanted.lanes.kernel {
        KernelMode::Required => return Err(KernelError),
        KernelMode::Auto => status.problem = Some(KernelError.to_string()),
        KernelMode::Off => {}
    }
    Ok((None, status))
}

impl KernelLane {
    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub fn filters(&mut self, _: &Defences, _: [u64; 2]) -> Result<Arc<Filters>, KernelError> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub fn zones(&self) -> Result<Zones, KernelError> {
        match *self {}
    }

    /// Never called.
    pub fn cache(&self, _: u64) -> Cache {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub fn answers(&self) -> Result<Arc<Answers>, KernelError> {
        match *self {}
    }

    /// Never called.
    pub fn taken_over(&self) -> Option<TakenOver> {
        match *self {}
    }

    pub(crate) fn counters(&self) -> KernelCounters {
        match *self {}
    }
}

/// Nobody has anything to look after.
#[expect(dead_code, reason = "what is never there is told nothing")]
pub(crate) struct Keeper {
    pub(crate) lane: KernelLane,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) filters: Arc<Filters>,
    pub(crate) zones: Arc<Zones>,
    pub(crate) answers: Option<Arc<Answers>>,
    pub(crate) cache: Option<Arc<Cache>>,
}

/// Never there.
#[derive(Debug)]
pub(crate) enum Kept {}

impl Keeper {
    pub(crate) fn start(self) -> std::io::Result<Kept> {
        let Self { lane, settings: _, filters: _, zones: _, answers: _, cache: _ } = self;
        match lane {}
    }
}

impl Kept {
    pub(crate) fn stop(self) {
        match self {}
    }
}
