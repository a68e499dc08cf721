//! An answer without what a server is free to choose: order within an RRset and among RRsets that form no chain, case
//! of names, compression, EDNS options.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use wire::{Message, Name, Rcode, Rtype, Section, WireError, rdata};

use crate::Question;

/// What tells one RRset of a section from another; signatures are told apart by the type they cover.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The owner in lower case.
    pub owner: Name,
    /// The type.
    pub rtype: Rtype,
    /// For RRSIG the type that is signed, else the same type again.
    pub covered: Rtype,
}

/// RRsets by their key, each with its TTL and its RDATAs, names in them in lower case.
pub type Rrsets = BTreeMap<Key, (u32, BTreeSet<Vec<u8>>)>;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response code with its upper bits (RFC 6891 §6.1.3).
    pub rcode: Rcode,
    /// Authoritative answer.
    pub aa: bool,
    /// Truncated.
    pub tc: bool,
    /// Recursion available.
    pub ra: bool,
    /// Authentic data.
    pub ad: bool,
    /// The answer section.
    pub answer: Rrsets,
    /// The order in which the RRsets of the answer section begin, signatures left out.
    pub order: Vec<(Name, Rtype)>,
    /// The authority section.
    pub authority: Rrsets,
    /// The additional section without OPT.
    pub additional: Rrsets,
    /// Extended DNS errors (RFC 8914).
    pub extended_errors: Vec<u16>,
    /// Whether there is an OPT record.
    pub edns: bool,
    /// Its length on the wire.
    pub length: usize,
}

impl Answer {
    /// Reads an answer to `question` and checks what has to hold for every one.
    ///
    /// # Errors
    /// A sentence about what does not hold.
    pub fn parse(question: &Question, bytes: &[u8]) -> Result<Answer, String> {
        let message = Message::parse(bytes).map_err(|error| error.to_string())?;
        let header = message.header;
        if !header.flags.qr() {
            return Err("QR is not set".to_owned());
        }
        match message.questions().next() {
            // Byte for byte: the case of the question has to come back.
            Some((name, rtype, _)) if name.as_bytes() == question.name.as_bytes() && rtype == question.rtype => {}
            other => return Err(format!("another question came back: {other:?}")),
        }
        let mut answer = Answer {
            rcode: header.flags.rcode(),
            aa: header.flags.aa(),
            tc: header.flags.tc(),
            ra: header.flags.ra(),
            ad: header.flags.ad(),
            answer: Rrsets::new(),
            order: Vec::new(),
            authority: Rrsets::new(),
            additional: Rrsets::new(),
            extended_errors: Vec::new(),
            edns: false,
            length: bytes.len(),
        };
        for record in message.records() {
            let record = record.map_err(|error| format!("a record: {error}"))?;
            answer.take(&record).map_err(|error| format!("a {} record: {error}", record.rtype))?;
        }
        Ok(answer)
    }

    fn take(&mut self, record: &wire::Record<'_>) -> Result<(), Box<dyn std::error::Error>> {
        if record.rtype == Rtype::OPT {
            let edns = wire::Edns::from_record(record.class.0, record.ttl, record.rdata())?;
            self.rcode = Rcode(self.rcode.0 | (record.ttl >> 24 << 4) as u16);
            self.edns = true;
            let errors = edns.options().filter(|(code, _)| *code == wire::edns::option::EXTENDED_ERROR);
            self.extended_errors =
                errors.filter_map(|(_, d)| Some(u16::from_be_bytes([*d.first()?, *d.get(1)?]))).collect();
            return Ok(());
        }
        let owner = record.owner()?.to_ascii_lowercase();
        let data = lowercase_rdata(record)?;
        let covered = match record.rtype {
            Rtype::RRSIG => Rtype(u16::from_be_bytes([data[0], data[1]])),
            other => other,
        };
        let section = match record.section {
            Section::Answer => {
                if record.rtype != Rtype::RRSIG && self.order.last() != Some(&(owner, record.rtype)) {
                    self.order.push((owner, record.rtype));
                }
                &mut self.answer
            }
            Section::Authority => &mut self.authority,
            Section::Additional => &mut self.additional,
        };
        let (ttl, rdatas) =
            section.entry(Key { owner, rtype: record.rtype, covered }).or_insert((record.ttl, BTreeSet::new()));
        if *ttl != record.ttl {
            return Err("the TTLs of an RRset differ".into());
        }
        if !rdatas.insert(data) {
            return Err("a record stands in a section twice".into());
        }
        Ok(())
    }

    /// Its kind in a few words, the same for answers of the same kind: response code, flags, the types in each section.
    #[must_use]
    pub fn kind(&self) -> String {
        let types = |rrsets: &Rrsets| {
            let mut types: Vec<String> = rrsets
                .keys()
                .filter(|key| key.rtype != Rtype::RRSIG || key.owner.as_ref().is_root())
                .map(|key| key.rtype.to_string())
                .collect();
            types.dedup();
            types.join(",")
        };
        let flags = [(self.aa, " aa"), (self.tc, " tc")]
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, flag)| *flag)
            .collect::<String>();
        format!("{}{flags} [{}] [{}]", self.rcode, types(&self.answer), types(&self.authority))
    }

    /// Whether this is a delegation: no answer, no authority over the name, NS records of another zone.
    #[must_use]
    pub fn is_referral(&self) -> bool {
        !self.aa && self.rcode == Rcode::NOERROR && self.authority.keys().any(|key| key.rtype == Rtype::NS)
    }
}

fn lowercase_rdata(record: &wire::Record<'_>) -> Result<Vec<u8>, WireError> {
    let mut data = Vec::new();
    record.decompress_rdata(&mut data)?;
    let start = data.as_ptr() as usize;
    let names: Vec<_> = rdata::names(record.rtype, &data)
        .map(|name| (name.as_bytes().as_ptr() as usize - start, name.as_bytes().len()))
        .collect();
    for (at, length) in names {
        data[at..at + length].make_ascii_lowercase();
    }
    Ok(data)
}

/// RRsets of a section that a message shows.
const DESCRIBED_MAX: usize = 10;

/// Writes a section as lines that can be compared by eye.
#[must_use]
pub fn describe(rrsets: &Rrsets) -> String {
    let mut out = String::new();
    for (number, (key, (ttl, rdatas))) in rrsets.iter().enumerate() {
        if number == DESCRIBED_MAX {
            return out + &format!("\n        … {} in all", rrsets.len());
        }
        let what =
            if key.rtype == key.covered { key.rtype.to_string() } else { format!("{}({})", key.rtype, key.covered) };
        let names: Vec<String> = rdatas
            .iter()
            .flat_map(|data| rdata::names(key.rtype, data).map(|n| n.to_string()).collect::<Vec<_>>())
            .collect();
        out += &format!("\n        {} {ttl} {what} x{} {}", key.owner, rdatas.len(), names.join(" "));
    }
    out
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rcode)?;
        for (set, flag) in [(self.aa, "aa"), (self.tc, "tc"), (self.ra, "ra"), (self.ad, "ad")] {
            if set {
                write!(f, " {flag}")?;
            }
        }
        for (name, section) in
            [("answer", &self.answer), ("authority", &self.authority), ("additional", &self.additional)]
        {
            if !section.is_empty() {
                write!(f, "\n      {name}:{}", describe(section))?;
            }
        }
        Ok(())
    }
}
