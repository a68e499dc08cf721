//! From the records of a transfer to what is served: the next copy is made, verified, brought to disk, and only then
//! published.

use std::sync::Arc;

use zones::{Zone, ZoneSlot, ZoneState};

use crate::attempt::Outcome;
use crate::copy::{Copy, Next};
use crate::error::Error;
use crate::notify::unix_now_s;
use crate::settings::ZoneSettings;
use crate::signatures::Checked;
use crate::status::CheckResult;
use crate::store::{Appended, ZoneStore};
use crate::validate::{Broken, Check, TimesChange, ZonemdState, check_zonemd, has_zonemd, is_signed};

/// A zone with no more records than this is verified without ado, whatever there is to verify.
pub(crate) const SMALL_RECORDS_MAX: u64 = 10_000;

/// What it takes to keep and to publish a copy.
pub(crate) struct Keep {
    pub(crate) base: Option<Arc<Zone>>,
    pub(crate) slot: Arc<ZoneSlot>,
    pub(crate) store: Arc<ZoneStore>,
    pub(crate) settings: Arc<ZoneSettings>,
    /// Whether the base passes what the next copy has to pass.
    pub(crate) base_checked: bool,
}

/// The next copy, verified; nothing has changed yet.
pub(crate) struct Made {
    next: Next,
    checked: Checked,
}

impl Made {
    /// The copy.
    pub(crate) fn zone(&self) -> &Zone {
        self.next.zone()
    }

    /// Whether it came whole, rather than as differences.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.next, Next::Whole(_))
    }
}

impl Keep {
    /// Whether the whole zone will be looked at, and not only what changed. A digest is of the whole zone.
    pub(crate) fn checks_all(&self, whole: bool) -> bool {
        let digest = self.settings.config.zonemd != config::Zonemd::Off && self.base.as_deref().is_some_and(has_zonemd);
        digest || (self.settings.config.dnssec.validate && (whole || !self.base_checked))
    }

    /// Makes the next copy, and verifies it.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(crate) fn make(&self, copy: Copy) -> Result<Made, Error> {
        let next = copy.finish(self.base.as_ref())?;
        let checked = verify(&next, self.base.as_deref().filter(|_| self.base_checked), &self.settings)?;
        Ok(Made { next, checked })
    }

    /// Brings a copy to disk, and only then publishes it.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(crate) fn publish(self, made: Made, confirmed_unix_s: u64) -> Result<Outcome, Error> {
        let Keep { base, slot, store, .. } = self;
        let Made { next, checked } = made;
        let (zone, whole, compaction, times) = match next {
            Next::Whole(zone) => {
                store.save(&zone, confirmed_unix_s)?;
                (Arc::new(zone), true, None, TimesChange::default())
            }
            Next::Differences(zone, differences) => {
                let from = base.as_ref().map_or(0, |base| base.serial());
                let compaction = match store.append(&differences, (from, zone.serial()), confirmed_unix_s)? {
                    Appended::Done(compaction) => compaction,
                    Appended::TooLarge => {
                        store.save(&zone, confirmed_unix_s)?;
                        None
                    }
                };
                let zone = Arc::new(zone);
                slot.publish(ZoneState::Serving(Arc::clone(&zone)));
                let times = if is_signed(&zone) { TimesChange::of(&differences) } else { TimesChange::default() };
                (zone, false, compaction, times)
            }
        };
        if whole {
            slot.publish(ZoneState::Serving(Arc::clone(&zone)));
        }
        Ok(Outcome::Updated { zone, whole, compaction, checked, times })
    }
}

/// Verifies a copy as its settings want it; `base` is the copy before if that is known to be right.
fn verify(next: &Next, base: Option<&Zone>, settings: &ZoneSettings) -> Result<Checked, Error> {
    let zone = next.zone();
    let zonemd = check_zonemd(zone, settings.config.zonemd)
        .map_err(|fault| Error::Zonemd { apex: Box::new(settings.apex.to_name()), fault })?;
    let policy = &settings.config.dnssec;
    if !policy.validate {
        return Ok(Checked { zonemd: Some(zonemd.into()), dnssec: None });
    }
    let check = dnssec_check(settings);
    match (next, base) {
        (Next::Differences(zone, differences), Some(base)) => check.change(base, zone, differences)?,
        _ => check.whole(zone)?,
    }
    Ok(Checked { zonemd: Some(zonemd.into()), dnssec: Some(CheckResult::Verified) })
}

/// How a zone's signatures are to be verified, now.
pub(crate) fn dnssec_check(settings: &ZoneSettings) -> Check<'_> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Half of them, since the lanes answer meanwhile.
    Check { anchors: &settings.config.dnssec.trust_anchors, now_unix_s: unix_now_s(), threads: cores.div_ceil(2) }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Error {
        Error::Dnssec { owner: broken.owner, rtype: broken.rtype, fault: broken.fault }
    }
}

impl From<ZonemdState> for CheckResult {
    fn from(state: ZonemdState) -> CheckResult {
        match state {
            ZonemdState::Absent => CheckResult::Absent,
            ZonemdState::Unsupported => CheckResult::Unsupported,
            ZonemdState::Verified => CheckResult::Verified,
        }
    }
}
