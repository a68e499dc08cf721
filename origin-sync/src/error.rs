//! What can go wrong between an edge and its origin: each variant names the attempt; [`Error::side`] says whose fault it
//! is and [`Error::advice`] what helps.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use wire::{Name, Rcode, Rtype, WireError};

use crate::tls::TlsFault;
use crate::validate::{DnssecFault, ZonemdFault};

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The origin: it answered, but wrongly.
    Origin,
    /// The way to the origin, or an origin that is not there.
    Network,
    /// This machine: its disk, its addresses.
    Here,
    /// What the operator of this edge wrote.
    Configuration,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The differences were of no use: fetch the whole zone from the same origin.
    FetchWhole,
    /// Try another origin now, and this one later.
    RetryLater,
    /// Nothing will change before someone changes something here; still retried later.
    Mend,
}

/// Why an attempt to keep a zone equal to its origin failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The TCP connection could not be made.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The origin's address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The configured source address could not be used.
    #[error("cannot send from the source address {source_address}: {source}")]
    SourceAddress {
        /// The address.
        source_address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The request could not be sent.
    #[error("cannot send the {question} request: {source}")]
    Send {
        /// What was asked for.
        question: Rtype,
        /// What the system says.
        source: io::Error,
    },
    /// The answer could not be received.
    #[error("cannot receive the {question} answer: {source}")]
    Receive {
        /// What was asked for.
        question: Rtype,
        /// What the system says.
        source: io::Error,
    },
    /// TLS with the origin failed.
    #[error("TLS with {address}: {fault}")]
    Tls {
        /// The origin's address.
        address: SocketAddr,
        /// What is wrong.
        fault: TlsFault,
    },
    /// No answer came in time.
    #[error("no answer to the {question} request within {} ms", after.as_millis())]
    NoAnswer {
        /// What was asked for.
        question: Rtype,
        /// How long it was waited for.
        after: Duration,
    },
    /// The origin fell silent in the middle of a transfer.
    #[error("the origin fell silent for {} s after {records} records of the {question} answer", after.as_secs())]
    Idle {
        /// What was asked for.
        question: Rtype,
        /// How long it was waited for.
        after: Duration,
        /// Records received before.
        records: u64,
    },
    /// The transfer as a whole took too long.
    #[error("the {question} answer was not complete after {} s ({records} records)", after.as_secs())]
    TooSlow {
        /// What was asked for.
        question: Rtype,
        /// The limit.
        after: Duration,
        /// Records received before.
        records: u64,
    },
    /// The connection ended before the transfer did.
    #[error("the {question} answer was cut off after {messages} messages and {records} records")]
    CutOff {
        /// What was asked for.
        question: Rtype,
        /// Whole messages received before.
        messages: u64,
        /// Records received before.
        records: u64,
    },
    /// A message is not well-formed.
    #[error("malformed {question} answer: {source}")]
    Malformed {
        /// What was asked for.
        question: Rtype,
        /// What is wrong with it.
        source: WireError,
    },
    /// A message is not an answer to the request.
    #[error("the answer has the wrong {what} (expected {expected}, found {found})")]
    NotTheAnswer {
        /// The field.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The origin answered with an error.
    #[error("the origin answered {question} with {rcode}{}", if *.signed { "" } else { " (unsigned)" })]
    Refused {
        /// What was asked for.
        question: Rtype,
        /// The response code.
        rcode: Rcode,
        /// Whether the answer could be trusted: it was signed, or no key is configured.
        signed: bool,
    },
    /// An answer over TCP says that it was truncated.
    #[error("the {question} answer over TCP is marked as truncated")]
    Truncated {
        /// What was asked for.
        question: Rtype,
    },
    /// The signature does not hold.
    #[error("TSIG key {key}: {fault}")]
    Tsig {
        /// The key's name.
        key: String,
        /// What is wrong.
        fault: TsigFault,
    },
    /// The transfer, or the answer to the SOA query, does not begin with a SOA record.
    #[error("the {question} answer has no SOA record of {apex} where one must be")]
    NoSoa {
        /// What was asked for.
        question: Rtype,
        /// The zone.
        apex: Box<Name>,
    },
    /// A record's owner is not in the zone.
    #[error("the record {owner} {rtype} is outside the zone {apex}")]
    OutsideZone {
        /// The owner.
        owner: Box<Name>,
        /// The record's type.
        rtype: Rtype,
        /// The zone.
        apex: Box<Name>,
    },
    /// A record that cannot be part of a zone: another class than IN, or a type that exists only in messages.
    #[error("{owner} {rtype}: {why}")]
    BadRecord {
        /// The owner.
        owner: Box<Name>,
        /// The record's type.
        rtype: Rtype,
        /// Why it cannot.
        why: &'static str,
    },
    /// The SOA record at the end is not the one at the beginning.
    #[error("the transfer began with serial {first} and ended with another SOA record (serial {last})")]
    SoaMismatch {
        /// The serial at the beginning.
        first: u32,
        /// The serial at the end.
        last: u32,
    },
    /// A difference does not follow on what came before it.
    #[error("the differences are out of sequence: expected serial {expected}, found {found}")]
    OutOfSequence {
        /// The serial that should have come.
        expected: u32,
        /// The serial that came.
        found: u32,
    },
    /// Records follow after the SOA record that ends the transfer.
    #[error("records follow the end of the {question} answer")]
    Trailing {
        /// What was asked for.
        question: Rtype,
    },
    /// More records than the zone may have.
    #[error("more than {limit} records (transfer.records_max)")]
    TooManyRecords {
        /// The limit.
        limit: u64,
    },
    /// More bytes than a transfer may have.
    #[error("more than {limit} bytes (transfer.bytes_max)")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// Another node has its copy from us, or too many nodes stand between it and the origin.
    #[error("a loop: its copy came by the way {path}; see the nodes' upstream items in their network files")]
    Loop {
        /// The nodes that it came through.
        path: String,
    },
    /// The origin's serial is lower than ours, and ours has not expired.
    #[error("the origin has serial {theirs}, lower than our {ours}; it is not taken before our copy expires")]
    LowerSerial {
        /// Our serial.
        ours: u32,
        /// The origin's.
        theirs: u32,
    },
    /// What was received does not make a zone, or does not fit the one that we have.
    #[error("the {question} answer does not fit: {source}")]
    Zone {
        /// What was asked for.
        question: Rtype,
        /// What is wrong.
        source: zones::ZoneError,
    },
    /// An RRset of the new copy does not pass DNSSEC validation (`dnssec.validate`); the last good copy is kept.
    #[error("DNSSEC: {owner} {rtype}: {fault}")]
    Dnssec {
        /// The RRset's owner.
        owner: Box<Name>,
        /// Its type.
        rtype: Rtype,
        /// What is wrong.
        fault: DnssecFault,
    },
    /// The new copy does not pass as its ZONEMD record wants it; the last good copy is kept.
    #[error("ZONEMD of {apex}: {fault}")]
    Zonemd {
        /// The zone.
        apex: Box<Name>,
        /// What is wrong.
        fault: ZonemdFault,
    },
    /// A file or folder of the state folder could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the state folder is damaged.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The zone was taken out of the configuration meanwhile.
    #[error("the zone is no longer configured")]
    Removed,
    /// Something in the configuration cannot be used.
    #[error("{item}: {why}")]
    Configuration {
        /// What cannot be used.
        item: String,
        /// Why.
        why: String,
    },
    /// The system gives no randomness.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The work was cut short inside this program.
    #[error("the attempt ended unexpectedly: {0}")]
    Internal(String),
}

/// What is wrong with a signature (RFC 8945 §5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TsigFault {
    /// The answer bears no signature.
    #[error("the answer is not signed")]
    Unsigned,
    /// The signature is wrong.
    #[error("the answer's signature is wrong")]
    BadSignature,
    /// The answer is signed with another key or algorithm.
    #[error("the answer is signed with another key or algorithm")]
    OtherKey,
    /// The answer was signed too long ago or in the future.
    #[error("the answer was signed more than the allowed time ago or ahead: compare the clocks")]
    BadTime,
    /// The TSIG record is malformed or stands where it may not.
    #[error("the answer's TSIG record is malformed")]
    Malformed,
    /// The last message of a transfer, or more than 99 in a row, are unsigned (RFC 8945 §5.3.1).
    #[error("the transfer ends with unsigned messages, or has more than 99 of them in a row")]
    UnsignedTail,
    /// The origin does not know the key.
    #[error("the origin does not know this key (BADKEY)")]
    UnknownAtOrigin,
    /// The origin found our signature wrong.
    #[error("the origin found our signature wrong (BADSIG): compare the secrets")]
    RejectedByOrigin,
    /// The origin found our clock wrong.
    #[error("the origin's clock differs by {difference_s} s (BADTIME)")]
    ClocksDiffer {
        /// Seconds that the origin is ahead.
        difference_s: i64,
    },
    /// The request has no room for the signature.
    #[error("the request has no room for a signature")]
    NoRoom,
}

impl Error {
    /// Whose fault it is.
    pub fn side(&self) -> Side {
        match self {
            Error::Connect { .. } | Error::Send { .. } | Error::Receive { .. } | Error::NoAnswer { .. } => {
                Side::Network
            }
            Error::Idle { .. } | Error::TooSlow { .. } | Error::CutOff { .. } => Side::Network,
            Error::Disk { .. } | Error::Damaged { .. } | Error::Random(_) | Error::Internal(_) | Error::Removed => {
                Side::Here
            }
            Error::SourceAddress { .. } | Error::Configuration { .. } => Side::Configuration,
            Error::Tls { fault: TlsFault::Silent, .. } => Side::Network,
            Error::Tls { .. }
            | Error::Malformed { .. }
            | Error::NotTheAnswer { .. }
            | Error::Refused { .. }
            | Error::Truncated { .. }
            | Error::Tsig { .. }
            | Error::NoSoa { .. }
            | Error::OutsideZone { .. }
            | Error::BadRecord { .. }
            | Error::SoaMismatch { .. }
            | Error::OutOfSequence { .. }
            | Error::Trailing { .. }
            | Error::TooManyRecords { .. }
            | Error::TooManyBytes { .. }
            | Error::LowerSerial { .. }
            | Error::Loop { .. }
            | Error::Dnssec { .. }
            | Error::Zonemd { .. }
            | Error::Zone { .. } => Side::Origin,
        }
    }

    /// What to do about it, when it was met in answer to `question`.
    pub fn advice(&self, question: Rtype) -> Advice {
        match self {
            Error::Refused { rcode: Rcode::FORMERR | Rcode::SERVFAIL | Rcode::NOTIMP | Rcode::REFUSED, .. }
                if question == Rtype::IXFR =>
            {
                Advice::FetchWhole
            }
            Error::SoaMismatch { .. }
            | Error::OutOfSequence { .. }
            | Error::Trailing { .. }
            | Error::Zone { .. }
            | Error::OutsideZone { .. }
            | Error::BadRecord { .. }
            | Error::NoSoa { .. }
            | Error::Truncated { .. }
            | Error::Malformed { .. }
                if question == Rtype::IXFR =>
            {
                Advice::FetchWhole
            }
            // Differences may have met another copy than the origin's; what time or the keys are to blame for, they did not.
            Error::Zonemd { fault: ZonemdFault::Mismatch { .. }, .. } if question == Rtype::IXFR => Advice::FetchWhole,
            Error::Dnssec { fault, .. } if question == Rtype::IXFR && fault.may_be_ours() => Advice::FetchWhole,
            // A single newer SOA, and then nothing: the origin has no differences (RFC 1995 §2 has it for UDP).
            Error::CutOff { records: 1, .. } | Error::Idle { records: 1, .. } if question == Rtype::IXFR => {
                Advice::FetchWhole
            }
            error if matches!(error.side(), Side::Configuration) => Advice::Mend,
            _ => Advice::RetryLater,
        }
    }

    /// A short fixed text for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Error::Connect { .. } => "connect",
            Error::SourceAddress { .. } => "source-address",
            Error::Send { .. } => "send",
            Error::Receive { .. } => "receive",
            Error::Tls { .. } => "tls",
            Error::NoAnswer { .. } => "no-answer",
            Error::Idle { .. } => "idle",
            Error::TooSlow { .. } => "too-slow",
            Error::CutOff { .. } => "cut-off",
            Error::Malformed { .. } => "malformed",
            Error::NotTheAnswer { .. } => "not-the-answer",
            Error::Refused { .. } => "refused",
            Error::Truncated { .. } => "truncated",
            Error::Tsig { .. } => "tsig",
            Error::NoSoa { .. } => "no-soa",
            Error::OutsideZone { .. } => "outside-zone",
            Error::BadRecord { .. } => "bad-record",
            Error::SoaMismatch { .. } => "soa-mismatch",
            Error::OutOfSequence { .. } => "out-of-sequence",
            Error::Trailing { .. } => "trailing",
            Error::TooManyRecords { .. } => "too-many-records",
            Error::TooManyBytes { .. } => "too-many-bytes",
            Error::LowerSerial { .. } => "lower-serial",
            Error::Loop { .. } => "loop",
            Error::Zone { .. } => "zone",
            Error::Dnssec { .. } => "dnssec",
            Error::Zonemd { .. } => "zonemd",
            Error::Disk { .. } => "disk",
            Error::Damaged { .. } => "damaged",
            Error::Removed => "removed",
            Error::Configuration { .. } => "configuration",
            Error::Random(_) => "random",
            Error::Internal(_) => "internal",
        }
    }
}
