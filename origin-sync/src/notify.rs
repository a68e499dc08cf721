//! Takes NOTIFY messages (RFC 1996) from lane threads: who may send them, and waking the zone. It never blocks.
//!
//! ```text
//!   lane thread                           scheduler
//!   verify ─▶ mailbox (one word a zone) ──▶ take
//!          └─▶ queue of zone ids, unless the mailbox was full already: any number of NOTIFYs is one wake
//! ```

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use domain::base::{Message as DomainMessage, MessageBuilder, ToName};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, Key as DomainKey, KeyStore, ServerTransaction};
use tokio::sync::mpsc;
use wire::{
    Class, Flags, Header, Message, Name, NameRef, Opcode, Query, Rcode, Rejected, Rtype, Section, Writer, rdata,
};

use crate::machine::Notice;
use crate::peers::Offer;
use crate::settings::{OriginSettings, ZoneSettings};

/// Zones whose wake may wait for the scheduler; beyond, it looks through all mailboxes.
pub(crate) const WAKE_QUEUE_MAX: usize = 4096;
/// The room that an answer may take: header, question, OPT and TSIG.
const ANSWER_BYTES_MAX: usize = 1024;
/// The datagram size that answers announce.
const UDP_PAYLOAD_BYTES: u16 = 1232;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many bytes of `out` are to be sent back.
    Answer(usize),
    /// Nothing is to be sent back.
    Ignore,
}

/// Counters; read them at any time.
#[derive(Debug, Default)]
pub struct NotifyCounters {
    /// NOTIFYs that were taken.
    pub accepted: AtomicU64,
    /// NOTIFYs from those who may not send them.
    pub refused: AtomicU64,
    /// NOTIFYs for zones that are not ours.
    pub not_ours: AtomicU64,
    /// NOTIFYs whose signature does not hold.
    pub bad_signature: AtomicU64,
    /// Messages that are not well-formed.
    pub malformed: AtomicU64,
}

/// A zone as NOTIFYs see it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) zone: u64,
    pub(crate) settings: Arc<ZoneSettings>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// What other nodes may have of it.
    pub(crate) offer: Arc<Offer>,
}

/// A target in the table, found by its zone's name in wire format and lower case.
#[derive(Debug)]
struct ByName(Arc<Target>);

impl Borrow<[u8]> for ByName {
    fn borrow(&self) -> &[u8] {
        self.0.settings.apex.as_bytes()
    }
}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.settings.apex == other.0.settings.apex
    }
}

impl Eq for ByName {}

/// The notice that waits for a zone, in one word.
///
/// ```text
/// bit 63: there is one   bit 62: it has a serial   bit 61: it has an upstream   32..48: upstream   0..32: serial
/// ```
#[derive(Debug, Default)]
pub(crate) struct Mailbox(AtomicU64);

const PRESENT: u64 = 1 << 63;
const HAS_SERIAL: u64 = 1 << 62;
const HAS_UPSTREAM: u64 = 1 << 61;

impl Mailbox {
    /// Adds a notice; whether the mailbox was empty.
    fn post(&self, notice: Notice) -> bool {
        let add = |word| Some(pack(unpack(word).map_or(notice, |waiting| waiting.merge(notice))));
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        before.is_ok_and(|word| word & PRESENT == 0)
    }

    pub(crate) fn take(&self) -> Option<Notice> {
        unpack(self.0.swap(0, Ordering::AcqRel))
    }
}

fn pack(notice: Notice) -> u64 {
    let serial = notice.serial.map_or(0, |serial| HAS_SERIAL | u64::from(serial));
    let upstream = notice.upstream.and_then(|upstream| u16::try_from(upstream).ok());
    PRESENT | serial | upstream.map_or(0, |upstream| HAS_UPSTREAM | (u64::from(upstream) << 32))
}

fn unpack(word: u64) -> Option<Notice> {
    let serial = (word & HAS_SERIAL != 0).then_some(u32::try_from(word & 0xFFFF_FFFF).unwrap_or(0));
    let upstream = (word & HAS_UPSTREAM != 0).then_some(usize::from(u16::try_from((word >> 32) & 0xFFFF).unwrap_or(0)));
    (word & PRESENT != 0).then_some(Notice { serial, upstream })
}

/// The NOTIFY side of origin-sync, shared by all lane threads.
#[derive(Debug)]
pub struct Notifier {
    table: ArcSwap<HashSet<ByName>>,
    wake: mpsc::Sender<u64>,
    overflow: AtomicBool,
    counters: NotifyCounters,
}

/// Why a NOTIFY is not taken.
enum Denied {
    /// An answer without a signature.
    Plain(Rcode),
    /// NOTAUTH with this TSIG error (RFC 8945 §5.2).
    Signature(u16),
}

impl Notifier {
    /// A notifier without zones, and the queue that wakes come out of.
    pub(crate) fn new() -> (Notifier, mpsc::Receiver<u64>) {
        let (wake, woken) = mpsc::channel(WAKE_QUEUE_MAX);
        let counters = NotifyCounters::default();
        (Notifier { table: ArcSwap::default(), wake, overflow: AtomicBool::new(false), counters }, woken)
    }

    pub(crate) fn set_table(&self, targets: impl Iterator<Item = Arc<Target>>) {
        self.table.store(Arc::new(targets.map(ByName).collect()));
    }

    /// What other nodes may have of a zone.
    pub(crate) fn offer(&self, zone: NameRef<'_>) -> Option<Arc<Offer>> {
        let name = zone.to_owned().to_ascii_lowercase();
        self.table.load().get(name.as_bytes()).map(|ByName(target)| Arc::clone(&target.offer))
    }

    /// Whether wakes were lost since the last call, so that all mailboxes must be looked through.
    pub(crate) fn take_overflow(&self) -> bool {
        self.overflow.swap(false, Ordering::AcqRel)
    }

    /// Its counters.
    pub fn counters(&self) -> &NotifyCounters {
        &self.counters
    }

    /// Takes a NOTIFY and writes the answer to `out`. For lane threads: it does not block, and allocates only for signed
    /// messages.
    pub fn handle(&self, message: &[u8], peer: SocketAddr, out: &mut [u8]) -> Outcome {
        let query = match Query::parse(message) {
            Ok(query) if query.header.flags.opcode() == Opcode::NOTIFY => query,
            Ok(_) | Err(Rejected::Ignore(_) | Rejected::NotImplemented(_)) => return Outcome::Ignore,
            Err(Rejected::FormErr(header)) => {
                count(&self.counters.malformed);
                return answer_plain(header, None, Rcode::FORMERR, out);
            }
        };
        let Some(question) = query.question.filter(|q| q.rtype == Rtype::SOA && q.class == Class::IN) else {
            count(&self.counters.malformed);
            return answer_plain(query.header, Some(&query), Rcode::FORMERR, out);
        };
        let table = self.table.load();
        let name = question.name.to_owned().to_ascii_lowercase();
        let Some(ByName(target)) = table.get(name.as_bytes()) else {
            count(&self.counters.not_ours);
            return answer_plain(query.header, Some(&query), Rcode::NOTAUTH, out);
        };
        match authorise(target, &query, peer.ip()) {
            Err(Denied::Plain(rcode)) => {
                count(&self.counters.refused);
                answer_plain(query.header, Some(&query), rcode, out)
            }
            Err(Denied::Signature(error)) => {
                count(&self.counters.bad_signature);
                match answer_bad_signature(&query, error, out) {
                    0 => Outcome::Ignore,
                    length => Outcome::Answer(length),
                }
            }
            Ok(signed) => {
                count(&self.counters.accepted);
                self.post(target, notice(target, &query, peer.ip()));
                match signed {
                    None => answer_plain(query.header, Some(&query), Rcode::NOERROR, out),
                    Some(signed) => answer_signed(*signed, query.edns.is_some(), out),
                }
            }
        }
    }

    fn post(&self, target: &Target, notice: Notice) {
        if target.mailbox.post(notice) && self.wake.try_send(target.zone).is_err() {
            self.overflow.store(true, Ordering::Release);
        }
    }
}

/// A request whose signature holds, and what signs its answer.
struct Signed {
    request: DomainMessage<Vec<u8>>,
    transaction: ServerTransaction<Arc<DomainKey>>,
    now: Time48,
}

/// Who may send a NOTIFY for a zone: for each of its origins, those in its access list or (unless the configuration asks
/// for both) those who sign with its key.
fn authorise(target: &Target, query: &Query<'_>, peer: IpAddr) -> Result<Option<Box<Signed>>, Denied> {
    let signed = match query.tsig {
        None => None,
        Some(_) => Some(verify(target, query)?),
    };
    let allowed = target.settings.origins.iter().any(|origin| {
        let listed = origin.config.notify_from.iter().any(|prefix| prefix.contains(peer));
        let proven = match (&signed, &origin.key) {
            (Some(signed), Some(key)) => {
                let used = signed.transaction.key();
                used.name() == key.inner().name() && used.algorithm() == key.inner().algorithm()
            }
            _ => false,
        };
        if origin.config.notify_key_required { listed && proven } else { listed || proven }
    });
    if allowed { Ok(signed) } else { Err(Denied::Plain(Rcode::REFUSED)) }
}

/// The keys of a zone's origins.
struct Keys<'a>(&'a [Arc<OriginSettings>]);

impl KeyStore for Keys<'_> {
    type Key = Arc<DomainKey>;

    fn get_key<N: ToName>(&self, name: &N, algorithm: Algorithm) -> Option<Arc<DomainKey>> {
        let mut keys = self.0.iter().filter_map(|origin| origin.key.as_ref().map(|key| key.inner()));
        keys.find(|key| key.name().name_eq(name) && key.algorithm() == algorithm).cloned()
    }
}

fn verify(target: &Target, query: &Query<'_>) -> Result<Box<Signed>, Denied> {
    let now = Time48::from_u64(unix_now_s());
    let mut request = DomainMessage::from_octets(query.message.to_vec()).map_err(|_| Denied::Plain(Rcode::FORMERR))?;
    match ServerTransaction::request(&Keys(&target.settings.origins), &mut request, now) {
        Ok(Some(transaction)) => Ok(Box::new(Signed { request, transaction, now })),
        Ok(None) => Err(Denied::Plain(Rcode::FORMERR)),
        Err(error) => Err(match error.error().to_int() {
            // `domain` says FORMERR for a wrong MAC, too; a malformed TSIG record does not get this far.
            0..=1 => Denied::Signature(BADSIG),
            code => Denied::Signature(code),
        }),
    }
}

/// The TSIG error for a wrong MAC (RFC 8945 §3).
pub(crate) const BADSIG: u16 = 16;

fn notice(target: &Target, query: &Query<'_>, peer: IpAddr) -> Notice {
    let peer = peer.to_canonical();
    let upstream = target.settings.upstreams.iter().position(|upstream| upstream.address.ip().to_canonical() == peer);
    Notice { serial: hint(query), upstream }
}

/// The serial in the answer section, if there is one.
fn hint(query: &Query<'_>) -> Option<u32> {
    let name = query.question?.name;
    let record = Message::parse(query.message).ok()?.records().next()?.ok()?;
    let fits = record.section == Section::Answer && record.rtype == Rtype::SOA && record.class == Class::IN;
    if !fits || !record.owner().ok()?.as_ref().eq_ignore_case(name) {
        return None;
    }
    let mut bytes = Vec::with_capacity(64);
    record.decompress_rdata(&mut bytes).ok()?;
    Some(rdata::Soa::parse(&bytes).ok()?.serial)
}

fn answer_plain(header: Header, query: Option<&Query<'_>>, rcode: Rcode, out: &mut [u8]) -> Outcome {
    let mut build = || {
        let mut writer = Writer::new(out, ANSWER_BYTES_MAX)?;
        writer.set_id(header.id);
        let flags = Flags::default().with_qr(true).with_opcode(Opcode::NOTIFY).with_rcode(rcode);
        writer.set_flags(flags.with_aa(rcode == Rcode::NOERROR));
        if let Some(question) = query.and_then(|query| query.question) {
            writer.question(question.name, question.rtype, question.class)?;
        }
        if query.is_some_and(|query| query.edns.is_some()) {
            writer.opt(UDP_PAYLOAD_BYTES, 0, 0, false, |_| Ok(()))?;
        }
        Ok::<_, wire::Full>(writer.finish())
    };
    build().map_or(Outcome::Ignore, Outcome::Answer)
}

fn answer_signed(signed: Signed, edns: bool, out: &mut [u8]) -> Outcome {
    let build = || {
        let Signed { request, transaction, now } = signed;
        let mut answer = MessageBuilder::new_vec().start_answer(&request, domain::base::iana::Rcode::NOERROR).ok()?;
        answer.header_mut().set_aa(true);
        let mut additional = answer.additional();
        if edns {
            let size = |opt: &mut domain::base::message_builder::OptBuilder<'_, Vec<u8>>| {
                opt.set_udp_payload_size(UDP_PAYLOAD_BYTES);
                Ok(())
            };
            additional.opt(size).ok()?;
        }
        transaction.answer(&mut additional, now).ok()?;
        let bytes = additional.finish();
        out.get_mut(..bytes.len())?.copy_from_slice(&bytes);
        Some(bytes.len())
    };
    build().map_or(Outcome::Ignore, Outcome::Answer)
}

/// NOTAUTH with an unsigned TSIG record that has the error (RFC 8945 §5.3.2); how long the answer is.
///
/// ```text
/// TSIG RDATA = algorithm name | time signed u48 | fudge u16 | MAC size u16 = 0 | original id u16 | error u16 | other u16 = 0
/// ```
pub(crate) fn answer_bad_signature(query: &Query<'_>, error: u16, out: &mut [u8]) -> usize {
    let mut build = || {
        let record = Message::parse(query.message).ok()?.records().last()?.ok()?;
        let owner = record.owner().ok()?;
        let (algorithm, after) = Name::read(query.message, record.rdata_range().start).ok()?;
        let time_and_fudge = query.message.get(after..after + 8)?;
        let mut rdata = algorithm.as_bytes().to_vec();
        rdata.extend_from_slice(time_and_fudge);
        rdata.extend_from_slice(&[0, 0]);
        rdata.extend_from_slice(&query.header.id.to_be_bytes());
        rdata.extend_from_slice(&error.to_be_bytes());
        rdata.extend_from_slice(&[0, 0]);
        let mut writer = Writer::new(out, ANSWER_BYTES_MAX).ok()?;
        writer.set_id(query.header.id);
        writer.set_flags(
            Flags::default().with_qr(true).with_opcode(query.header.flags.opcode()).with_rcode(Rcode::NOTAUTH),
        );
        let question = query.question?;
        writer.question(question.name, question.rtype, question.class).ok()?;
        writer.record(Section::Additional, owner.as_ref(), Rtype::TSIG, Class::ANY, 0, &rdata).ok()?;
        Some(writer.finish())
    };
    build().unwrap_or(0)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Seconds since 1970 by the system's clock.
pub(crate) fn unix_now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
