//! What is verified before a copy serves: signatures of RRsets (DNSSEC) and the digest of the zone (ZONEMD). No I/O and no
//! clock: the time comes in.

mod chain;
mod dnssec;
mod fault;
mod keys;
mod rrsig;
#[cfg(test)]
mod testing;
mod times;
mod zonemd;

pub(crate) use dnssec::{Broken, Check, trusted_keys};
pub use fault::DnssecFault;
pub(crate) use keys::Keys;
pub(crate) use rrsig::{Rrset, verify_rrset};
pub(crate) use times::{SignatureTimes, TimesChange, is_signed};
pub use zonemd::ZonemdFault;
pub(crate) use zonemd::{ZonemdState, check_zonemd, has_zonemd};
