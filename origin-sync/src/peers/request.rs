//! Questions of other nodes: whose they are, what they ask, and the frame of what they get.

use std::net::IpAddr;
use std::sync::Arc;

use domain::base::{Message as DomainMessage, MessageBuilder};
use domain::rdata::tsig::Time48;
use domain::tsig::{Key as DomainKey, ServerError, ServerTransaction};
use wire::{Class, Flags, Full, Message, NameRef, Opcode, Query, Question, Rcode, Rtype, Section, Writer, edns, rdata};

use super::access::Access;
use super::offer::Good;
use super::path::{self, Path};
use crate::notify::{BADSIG, answer_bad_signature, unix_now_s};

/// The datagram size that answers announce.
const UDP_PAYLOAD_BYTES: u16 = 1232;
/// What every client takes over UDP (RFC 1035 §4.2.1).
const UDP_BYTES_MIN: u16 = 512;

/// A question that another node has signed.
pub(crate) struct Request<'m> {
    pub(crate) node: Arc<str>,
    pub(crate) query: Query<'m>,
    pub(crate) question: Question<'m>,
    pub(crate) transaction: ServerTransaction<Arc<DomainKey>>,
}

/// Why a message is not such a question.
pub(crate) enum Denied {
    /// It is from somebody else.
    Stranger,
    /// Its signature does not hold: the answer is the first so many bytes of `out`.
    Signature(usize),
}

impl<'m> Request<'m> {
    /// Judges a message: it must come from the address of a downstream node, and be signed with the nodes' key.
    pub(crate) fn verify(access: &Access, message: &'m [u8], peer: IpAddr, out: &mut [u8]) -> Result<Self, Denied> {
        let (Some(node), Some(key)) = (access.node_at(peer), &access.key) else { return Err(Denied::Stranger) };
        let query = Query::parse(message).map_err(|_| Denied::Stranger)?;
        let question = query.question.ok_or(Denied::Stranger)?;
        if query.header.flags.opcode() != Opcode::QUERY {
            return Err(Denied::Stranger);
        }
        let mut copy = DomainMessage::from_octets(message.to_vec()).map_err(|_| Denied::Stranger)?;
        match ServerTransaction::request(key.inner(), &mut copy, Time48::from_u64(unix_now_s())) {
            Ok(Some(transaction)) => Ok(Request { node: Arc::clone(node), query, question, transaction }),
            Ok(None) => Err(Denied::Stranger),
            Err(error) => Err(Denied::Signature(reject(error, &query, out))),
        }
    }

    /// The serial that a question for IXFR starts from.
    pub(crate) fn have(&self) -> Option<u32> {
        have(&self.query)
    }

    /// The form of its answers.
    pub(crate) fn form(&self, access: &Access) -> Form {
        let option = |code| self.query.edns.is_some_and(|edns| edns.option(code).is_some());
        Form {
            id: self.query.header.id,
            question: (self.question.name.to_owned(), self.question.rtype),
            edns: self.query.edns.is_some(),
            wants_expire: option(edns::option::EXPIRE),
            wants_path: option(path::OPTION),
            node: Arc::clone(&access.node),
            signature_bytes: usize::from(self.transaction.key().compose_len()),
        }
    }

    /// The size of its answer over UDP.
    pub(crate) fn udp_bytes_max(&self) -> usize {
        usize::from(self.query.edns.map_or(UDP_BYTES_MIN, |edns| edns.udp_size.max(UDP_BYTES_MIN)))
    }
}

/// The serial that a question for IXFR starts from (RFC 1995 §3).
pub(crate) fn have(query: &Query<'_>) -> Option<u32> {
    let message = Message::parse(query.message).ok()?;
    let is_soa = |record: &wire::Record<'_>| {
        record.section == Section::Authority && record.rtype == Rtype::SOA && record.class == Class::IN
    };
    let record = message.records().flatten().find(is_soa)?;
    let mut bytes = Vec::with_capacity(64);
    record.decompress_rdata(&mut bytes).ok()?;
    Some(rdata::Soa::parse(&bytes).ok()?.serial)
}

/// Answers a question whose signature does not hold; how long the answer is.
fn reject(error: ServerError<Arc<DomainKey>>, query: &Query<'_>, out: &mut [u8]) -> usize {
    let mut signed = |error: ServerError<Arc<DomainKey>>| {
        let request = DomainMessage::from_octets(query.message).ok()?;
        let answer = error.build_message(&request, MessageBuilder::new_vec()).ok()?.finish();
        out.get_mut(..answer.len())?.copy_from_slice(&answer);
        Some(answer.len())
    };
    match error.error().to_int() {
        // `domain` says FORMERR for a wrong MAC; what it cannot read as a TSIG record is no more than that.
        0..=1 => answer_bad_signature(query, BADSIG, out),
        // A wrong time is told signed, with the right one (RFC 8945 §5.2.3).
        BADTIME => signed(error).unwrap_or(0),
        code => answer_bad_signature(query, code, out),
    }
}

/// The TSIG error for a clock that differs.
const BADTIME: u16 = 18;

/// What the messages of an answer have around their records.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    id: u16,
    pub(crate) question: (wire::Name, Rtype),
    edns: bool,
    wants_expire: bool,
    wants_path: bool,
    node: Arc<str>,
    pub(crate) signature_bytes: usize,
}

/// What an OPT record tells of a copy.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    expires_in_s: u32,
    path: Arc<Path>,
}

impl Provenance {
    pub(crate) fn new(good: &Good, path: Arc<Path>) -> Provenance {
        Provenance { expires_in_s: good.expires_in_s, path }
    }
}

impl Form {
    /// Begins a message of at most `bytes_max` with its signature; only the first of an answer has the question.
    pub(crate) fn begin<'o>(
        &self,
        out: &'o mut [u8],
        bytes_max: usize,
        rcode: Rcode,
        first: bool,
    ) -> Result<Writer<'o>, Full> {
        let mut writer = Writer::new(out, bytes_max.saturating_sub(self.signature_bytes))?;
        writer.set_id(self.id);
        writer.set_flags(Flags::default().with_qr(true).with_rcode(rcode).with_aa(rcode == Rcode::NOERROR));
        if first {
            writer.question(self.question.0.as_ref(), self.question.1, Class::IN)?;
        }
        Ok(writer)
    }

    /// The OPT record, if the question had one: the time until the copy expires (RFC 7314) and the way that it came, for
    /// those who asked for them.
    pub(crate) fn opt(&self, writer: &mut Writer<'_>, provenance: Option<&Provenance>) -> Result<(), Full> {
        if !self.edns {
            return Ok(());
        }
        writer.opt(UDP_PAYLOAD_BYTES, 0, 0, false, |options| {
            let Some(Provenance { expires_in_s, path }) = provenance else { return Ok(()) };
            if self.wants_expire {
                options.option(edns::option::EXPIRE, &expires_in_s.to_be_bytes())?;
            }
            if self.wants_path {
                options.option(path::OPTION, &path.to_option(&self.node))?;
            }
            Ok(())
        })
    }

    /// The room that the OPT record takes.
    pub(crate) fn opt_bytes(&self, provenance: &Provenance) -> usize {
        const RECORD: usize = 11;
        const OPTION: usize = 4;
        let path = if self.wants_path { OPTION + provenance.path.to_option(&self.node).len() } else { 0 };
        RECORD + path + if self.wants_expire { OPTION + 4 } else { 0 }
    }

    /// A message without records; its length.
    pub(crate) fn bare(&self, out: &mut [u8], bytes_max: usize, rcode: Rcode) -> Option<usize> {
        let mut writer = self.begin(out, bytes_max, rcode, true).ok()?;
        self.opt(&mut writer, None).ok()?;
        Some(writer.finish())
    }

    /// A message with the SOA record alone; its length. One that does not fit is truncated.
    pub(crate) fn soa(
        &self,
        out: &mut [u8],
        bytes_max: usize,
        soa: &SoaRecord,
        provenance: &Provenance,
    ) -> Option<usize> {
        let mut writer = self.begin(out, bytes_max, Rcode::NOERROR, true).ok()?;
        let mark = writer.mark();
        let written =
            soa.write(&mut writer, self.question.0.as_ref()).and_then(|()| self.opt(&mut writer, Some(provenance)));
        if written.is_err() {
            writer.rollback(mark);
            writer.set_flags(writer.flags().with_tc(true));
            self.opt(&mut writer, None).ok()?;
        }
        Some(writer.finish())
    }
}

/// A zone's SOA record.
#[derive(Clone, Debug)]
pub(crate) struct SoaRecord {
    ttl: u32,
    rdata: Vec<u8>,
}

impl SoaRecord {
    /// That of a copy.
    pub(crate) fn of(zone: &zones::Zone) -> Option<SoaRecord> {
        let mut found = None;
        zone.walk(&mut zones::Cursor::default(), |record| {
            // The apex comes first, and nothing else has one.
            if record.rtype == Rtype::SOA {
                found = Some(SoaRecord { ttl: record.ttl, rdata: record.rdata.to_vec() });
            }
            if found.is_some() { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
        });
        found
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>, apex: NameRef<'_>) -> Result<(), Full> {
        writer.record(Section::Answer, apex, Rtype::SOA, Class::IN, self.ttl, &self.rdata)
    }
}
