//! Comparing one server's answers with another's, facet by facet, and what becomes of the differences.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use wire::{Name, Rtype};

use crate::answer::{Key, Rrsets};
use crate::{Answer, Question, ask};

/// A server that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Ours.
    Parapet,
    /// BIND 9.
    Named,
    /// NSD.
    Nsd,
    /// Knot DNS.
    Knot,
}

/// A part of an answer that is compared by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Facet {
    /// The response code.
    Rcode,
    /// AA, RA and AD.
    Flags,
    /// TC of the answer over UDP.
    Truncation,
    /// The RRsets of the answer section.
    Answer,
    /// The order of the links of a chain.
    Order,
    /// The authority section, less the zone's own NS RRset, which is optional beside an answer.
    Authority,
    /// In a referral, the addresses of its name servers.
    Glue,
}

/// Both answers of a server to a question: what came over UDP, and that or what came over TCP after a truncated one.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The first answer.
    pub udp: Answer,
    /// The whole answer.
    pub whole: Answer,
}

/// Asks `server` everything, over TCP again what came back truncated.
///
/// # Errors
/// Each answer that is not well formed, with its question.
pub fn ask_everything(server: SocketAddr, questions: &[Question]) -> Result<Vec<Asked>, Vec<String>> {
    let parse = |question: &Question, bytes: &[u8]| {
        Answer::parse(question, bytes).map_err(|why| format!("{question}: {why}"))
    };
    let (udp, mut errors) = collect(questions.iter().zip(ask::ask_all(server, questions)).map(|(q, bytes)| parse(q, &bytes)));
    if !errors.is_empty() {
        return Err(errors);
    }
    let truncated: Vec<usize> = (0..udp.len()).filter(|index| udp[*index].tc).collect();
    let again: Vec<Question> = truncated.iter().map(|index| questions[*index].clone()).collect();
    let (whole, tcp_errors) = collect(again.iter().zip(ask::ask_all_tcp(server, &again)).map(|(q, bytes)| parse(q, &bytes)));
    errors.extend(tcp_errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut asked: Vec<Asked> = udp.into_iter().map(|udp| Asked { whole: udp.clone(), udp }).collect();
    for (index, whole) in truncated.into_iter().zip(whole) {
        asked[index].whole = whole;
    }
    Ok(asked)
}

fn collect<T>(results: impl Iterator<Item = Result<T, String>>) -> (Vec<T>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(error) => bad.push(error),
        }
    }
    (good, bad)
}

/// The facets in which two answers differ.
#[must_use]
pub fn differing(question: &Question, apexes: &[Name], ours: &Asked, theirs: &Asked) -> Vec<Facet> {
    let mut facets = Vec::new();
    let (a, b) = (&ours.whole, &theirs.whole);
    let mut check = |facet: Facet, same: bool| {
        if !same {
            facets.push(facet);
        }
    };
    check(Facet::Rcode, a.rcode == b.rcode);
    check(Facet::Flags, (a.aa, a.ra, a.ad) == (b.aa, b.ra, b.ad));
    check(Facet::Truncation, ours.udp.tc == theirs.udp.tc);
    check(Facet::Answer, a.answer == b.answer);
    // Two RRsets of one owner have no order between them; a chain has.
    check(Facet::Order, question.rtype == Rtype::ANY || a.answer != b.answer || a.order == b.order);
    check(Facet::Authority, authority(a, apexes) == authority(b, apexes));
    check(Facet::Glue, glue(a) == glue(b));
    facets
}

/// The authority section without the NS RRset of a zone that the answer itself is from (RFC 1034 §4.3.2 does not ask for
/// it, some servers add it).
#[must_use]
pub fn authority(answer: &Answer, apexes: &[Name]) -> Rrsets {
    let optional = |key: &Key| answer.aa && !answer.answer.is_empty() && key.covered == Rtype::NS && apexes.contains(&key.owner);
    answer.authority.iter().filter(|(key, _)| !optional(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The addresses of a referral's name servers, without signatures.
#[must_use]
pub fn glue(answer: &Answer) -> Rrsets {
    if !answer.is_referral() {
        return Rrsets::new();
    }
    let address = |key: &Key| key.rtype == Rtype::A || key.rtype == Rtype::AAAA;
    answer.additional.iter().filter(|(key, _)| address(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A difference as it was found, for messages.
#[derive(Debug)]
pub struct Found<'a> {
    /// What was asked.
    pub question: &'a Question,
    /// Who answered otherwise.
    pub peer: Subject,
    /// What differs.
    pub facet: Facet,
    /// Our answer.
    pub ours: &'a Asked,
    /// The other one.
    pub theirs: &'a Asked,
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    ours: {}\n    {:?}: {}", self.question, self.ours.whole, self.peer, self.theirs.whole)?;
        if self.facet == Facet::Truncation {
            let (ours, theirs) = (self.ours.udp.length, self.theirs.udp.length);
            let (ours_whole, theirs_whole) = (self.ours.whole.length, self.theirs.whole.length);
            write!(f, "\n    bytes: ours {ours} of {ours_whole}, theirs {theirs} of {theirs_whole}")?;
        }
        Ok(())
    }
}

/// Counts of listed differences by rule, and the unlisted ones.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How often each rule decided.
    pub by_rule: BTreeMap<&'static str, usize>,
    /// Unlisted differences by peer and facet: how many, and the first few in words.
    pub unlisted: BTreeMap<(Subject, Facet), (usize, Vec<String>)>,
    /// Questions on which no peer agreed with us though none of the rules says so.
    pub alone: Vec<String>,
}

/// Examples that a message shows of each kind.
const EXAMPLES_MAX: usize = 6;

impl Outcome {
    /// Records a difference that no rule covers.
    pub fn unlisted(&mut self, found: &Found<'_>) {
        let (count, examples) = self.unlisted.entry((found.peer, found.facet)).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_MAX {
            examples.push(found.to_string());
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((peer, facet), (count, examples)) in &self.unlisted {
            writeln!(f, "{count} answers differ from {peer:?} in {facet:?}:")?;
            for example in examples {
                writeln!(f, "  {example}")?;
            }
        }
        Ok(())
    }
}
