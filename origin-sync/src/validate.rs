//! What is verified before a copy serves: signatures of RRsets (DNSSEC) and the digest of the zone (ZONEMD). No I/O and no
//! clock: the time comes in.

mod fault;
mod keys;
mod rrsig;

pub use fault::DnssecFault;
pub(crate) use keys::Keys;
pub(crate) use rrsig::{Rrset, Verified, verify_rrset};
