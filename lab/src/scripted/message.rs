//! The questions that the scripted origin reads and the answers that it writes.

use crate::dns::Rtype;

/// Where the aliases of the scripted origin lead: out of all its zones.
pub const ELSEWHERE: &str = "target.elsewhere.example";
/// The address in forged answers; an answer that has it was taken from the wrong one.
pub const FORGED: [u8; 4] = [203, 0, 113, 66];

const OPT: u16 = 41;
const PAYLOAD_BYTES: u16 = 1232;

const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

/// What an answer is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Right,
    WrongId,
    WrongQuestion,
    LostCase,
    Truncated,
    Lame,
    Refused,
    Servfail,
    Forged,
}

/// A question, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) id: u16,
    pub(super) labels: Vec<String>,
    pub(super) rtype: Rtype,
    /// The DO bit.
    pub(super) dnssec: bool,
    pub(super) options: Vec<u16>,
    recursion_desired: bool,
    edns: bool,
    /// Name, type and class as they came.
    bytes: Vec<u8>,
}

impl Question {
    /// Read a query with one question; `None` for anything else. A compressed name is none.
    pub(super) fn parse(message: &[u8]) -> Option<Question> {
        let number = |offset: usize| Some(u16::from_be_bytes(message.get(offset..offset + 2)?.try_into().ok()?));
        let flags = number(2)?;
        if flags & 0x8000 != 0 || number(4)? != 1 {
            return None;
        }
        let mut labels = Vec::new();
        let mut offset = 12;
        loop {
            let length = usize::from(*message.get(offset)?);
            let label = message.get(offset + 1..offset + 1 + length)?;
            offset += 1 + length;
            match length {
                0 => break,
                1..64 => labels.push(String::from_utf8_lossy(label).into_owned()),
                _ => return None,
            }
        }
        let rtype = Rtype(number(offset)?);
        let end = offset + 4;
        let bytes = message.get(12..end)?.to_vec();
        let mut question = Question {
            id: number(0)?,
            labels,
            rtype,
            dnssec: false,
            options: Vec::new(),
            recursion_desired: flags & 0x0100 != 0,
            edns: false,
            bytes,
        };
        if number(10)? > 0 && message.get(end) == Some(&0) && number(end + 1)? == OPT {
            question.edns = true;
            question.dnssec = number(end + 7)? & 0x8000 != 0;
            let mut rest = message.get(end + 11..end + 11 + usize::from(number(end + 9)?))?;
            while let [c0, c1, l0, l1, tail @ ..] = rest {
                question.options.push(u16::from_be_bytes([*c0, *c1]));
                rest = tail.get(usize::from(u16::from_be_bytes([*l0, *l1]))..)?;
            }
        }
        Some(question)
    }

    fn zone<'z>(&self, zones: &'z [String]) -> Option<&'z str> {
        let name = self.labels.join(".").to_ascii_lowercase();
        let within = |zone: &&String| name == **zone || name.ends_with(&format!(".{zone}"));
        zones.iter().filter(within).max_by_key(|zone| zone.len()).map(String::as_str)
    }
}

/// The same message with another id.
pub(super) fn with_id(message: &[u8], id: u16) -> Vec<u8> {
    let mut other = message.to_vec();
    if let Some(place) = other.get_mut(..2) {
        place.copy_from_slice(&id.to_be_bytes());
    }
    other
}

/// The answer to the `number`-th question; `times` are the TTLs of answers and of negative ones.
pub(super) fn answer(question: &Question, kind: Kind, number: u32, zones: &[String], times: (u32, u32)) -> Vec<u8> {
    let mut answer = Answer::new(question, times);
    match (kind, question.zone(zones)) {
        (Kind::Servfail, _) => answer.rcode = SERVFAIL,
        (Kind::Refused, _) | (_, None) => answer.rcode = REFUSED,
        (Kind::Truncated, _) => answer.truncated = true,
        (Kind::Lame, _) => answer.record(Section::Authority, "", 2, 3_600_000, &name("a.root-servers.net")),
        (Kind::Forged, _) => {
            answer.authoritative = true;
            answer.record(Section::Answer, &question.labels.join("."), 1, 86_400, &FORGED);
        }
        (_, Some(zone)) => answer.right(zone, number),
    }
    let message = answer.to_bytes(kind);
    if kind == Kind::WrongId { with_id(&message, question.id ^ 0x5555) } else { message }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Answer,
    Authority,
    Additional,
}

/// An answer being made.
struct Answer<'q> {
    question: &'q Question,
    times: (u32, u32),
    rcode: u8,
    authoritative: bool,
    truncated: bool,
    sections: [(u16, Vec<u8>); 3],
}

impl Answer<'_> {
    fn new(question: &Question, times: (u32, u32)) -> Answer<'_> {
        let sections = Default::default();
        Answer { question, times, rcode: NOERROR, authoritative: false, truncated: false, sections }
    }

    fn record(&mut self, section: Section, owner: &str, rtype: u16, ttl_s: u32, rdata: &[u8]) {
        let Some((count, bytes)) = self.sections.get_mut(section as usize) else { return };
        *count += 1;
        bytes.extend(name(owner));
        bytes.extend(rtype.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(ttl_s.to_be_bytes());
        bytes.extend(u16::try_from(rdata.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(rdata);
    }

    /// As the table of the module says.
    fn right(&mut self, zone: &str, number: u32) {
        let owner = self.question.labels.join(".").to_ascii_lowercase();
        let relative = owner.strip_suffix(zone).unwrap_or_default().trim_end_matches('.').to_owned();
        let first = relative.split('.').next().unwrap_or_default().to_owned();
        let (ttl_s, _) = self.times;
        let rtype = self.question.rtype.0;
        if let Some(cut) = cut(&relative) {
            let (below, server) = (format!("{cut}.{zone}"), format!("ns.{cut}.{zone}"));
            self.record(Section::Authority, &below, 2, ttl_s, &name(&server));
            self.record(Section::Additional, &server, 1, ttl_s, &[192, 0, 2, 53]);
            return;
        }
        self.authoritative = true;
        match rtype {
            _ if first.starts_with("nx") => {
                self.rcode = NXDOMAIN;
                self.no_data(zone);
            }
            _ if first.starts_with("empty") => self.no_data(zone),
            _ if first.starts_with("alias") => self.record(Section::Answer, &owner, 5, ttl_s, &name(ELSEWHERE)),
            6 if relative.is_empty() => self.record(Section::Answer, &owner, 6, ttl_s, &self.soa(zone)),
            2 if relative.is_empty() => self.record(Section::Answer, &owner, 2, ttl_s, &name(&format!("ns1.{zone}"))),
            1 => {
                let [_, a, b, c] = number.to_be_bytes();
                self.record(Section::Answer, &owner, 1, ttl_s, &[10, a, b, c]);
            }
            28 => {
                let mut address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                if let Some(place) = address.get_mut(12..) {
                    place.copy_from_slice(&number.to_be_bytes());
                }
                self.record(Section::Answer, &owner, 28, ttl_s, &address);
            }
            16 => {
                let text = number.to_string();
                let rdata = [&[u8::try_from(text.len()).unwrap_or(0)], text.as_bytes()].concat();
                self.record(Section::Answer, &owner, 16, ttl_s, &rdata);
            }
            _ => self.no_data(zone),
        }
    }

    fn no_data(&mut self, zone: &str) {
        let (_, negative_ttl_s) = self.times;
        self.record(Section::Authority, zone, 6, negative_ttl_s, &self.soa(zone));
    }

    fn soa(&self, zone: &str) -> Vec<u8> {
        let (_, negative_ttl_s) = self.times;
        let mut rdata = [name(&format!("ns1.{zone}")), name(&format!("hostmaster.{zone}"))].concat();
        for number in [1, 3600, 600, 604_800, negative_ttl_s] {
            rdata.extend(number.to_be_bytes());
        }
        rdata
    }

    fn to_bytes(&self, kind: Kind) -> Vec<u8> {
        let question = self.question;
        let mut message = question.id.to_be_bytes().to_vec();
        let first = 0x80
            | if self.authoritative { 0x04 } else { 0 }
            | if self.truncated { 0x02 } else { 0 }
            | u8::from(question.recursion_desired);
        message.extend([first, self.rcode, 0, 1]);
        let [(answers, answer), (authorities, authority), (additionals, additional)] = &self.sections;
        for count in [*answers, *authorities, additionals + u16::from(question.edns)] {
            message.extend(count.to_be_bytes());
        }
        message.extend(match kind {
            Kind::WrongQuestion => {
                [name("another.question.example"), question.rtype.0.to_be_bytes().to_vec(), vec![0, 1]].concat()
            }
            // Type and class have no letters.
            Kind::LostCase => {
                let (name, rest) = question.bytes.split_at(question.bytes.len().saturating_sub(4));
                [&name.to_ascii_lowercase(), rest].concat()
            }
            _ => question.bytes.clone(),
        });
        for section in [answer, authority, additional] {
            message.extend(section);
        }
        if question.edns {
            message.push(0);
            message.extend(OPT.to_be_bytes());
            message.extend(PAYLOAD_BYTES.to_be_bytes());
            message.extend([0, 0, if question.dnssec { 0x80 } else { 0 }, 0, 0, 0]);
        }
        message
    }
}

/// The cut at or above a relative name, counted from the apex down.
fn cut(relative: &str) -> Option<&str> {
    let mut start = relative.len();
    loop {
        let label = relative.get(..start)?.rfind('.').map_or(0, |dot| dot + 1);
        if relative.get(label..)?.starts_with("cut") {
            return relative.get(label..);
        }
        start = label.checked_sub(1)?;
    }
}

/// A name in wire format, uncompressed.
fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::encode_query;

    fn parsed(name: &str, rtype: Rtype) -> Question {
        Question::parse(&encode_query(7, name, rtype).unwrap()).unwrap()
    }

    fn right(name: &str, rtype: Rtype) -> Vec<u8> {
        answer(&parsed(name, rtype), Kind::Right, 9, &["od.test".to_owned()], (300, 60))
    }

    #[test]
    fn a_question_is_read_with_its_case() {
        let question = parsed("WwW.od.Test", Rtype::TXT);
        assert_eq!(
            (question.labels.join("."), question.rtype, question.edns),
            ("WwW.od.Test".into(), Rtype::TXT, true)
        );
        let message = encode_query(7, "www.od.test", Rtype::A).unwrap();
        for end in 0..29 {
            assert!(Question::parse(&message[..end]).is_none());
        }
    }

    #[test]
    fn the_kind_of_answer_is_in_the_name() {
        // RCODE, AA, counts of answer, authority, additional.
        let shape = |message: Vec<u8>| (message[3], message[2] & 4 != 0, message[7], message[9], message[11]);
        assert_eq!(shape(right("www.od.test", Rtype::A)), (0, true, 1, 0, 1));
        assert_eq!(shape(right("nx1.od.test", Rtype::A)), (3, true, 0, 1, 1));
        assert_eq!(shape(right("empty.od.test", Rtype::A)), (0, true, 0, 1, 1));
        assert_eq!(shape(right("www.od.test", Rtype::MX)), (0, true, 0, 1, 1));
        assert_eq!(shape(right("a.b.cut7.od.test", Rtype::A)), (0, false, 0, 1, 2));
        assert_eq!(shape(right("other.test", Rtype::A)), (5, false, 0, 0, 1));
        assert_eq!(cut("a.b.cut7"), Some("cut7"));
        assert_eq!(cut("acut.b"), None);
        assert_eq!(cut(""), None);
    }
}
