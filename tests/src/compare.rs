//! Comparing one server's answers with another's, facet by facet, and what becomes of the differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use wire::{Name, Rtype, rdata};

use crate::answer::{Key, Rrsets, describe};
use crate::{Answer, Contents, Question, ask};

/// Options that make `named` comparable: whole additional sections, no bounds below those of the protocol, and the SOA's
/// TTL in negative answers to questions for SOA as well (RFC 2308 §3 knows no exception).
pub const NAMED_OPTIONS: &str = "minimal-responses no; max-udp-size 4096; max-records-per-type 0; zero-no-soa-ttl no;";

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
    /// The RRsets of the answer section.
    Answer,
    /// The order of the links of a chain.
    Order,
    /// The authority section, less the zone's own NS RRset, which is optional beside an answer.
    Authority,
    /// In a referral, the addresses of its name servers.
    Glue,
    /// The rest of the additional section, beside `named` alone: what we send is what it has, and what it has for names in
    /// our answer we send too.
    Additional,
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
    let parse =
        |question: &Question, bytes: &[u8]| Answer::parse(question, bytes).map_err(|why| format!("{question}: {why}"));
    let (udp, mut errors) =
        collect(questions.iter().zip(ask::ask_all(server, questions)).map(|(q, bytes)| parse(q, &bytes)));
    if !errors.is_empty() {
        return Err(errors);
    }
    let truncated: Vec<usize> = (0..udp.len()).filter(|index| udp[*index].tc).collect();
    let again: Vec<Question> = truncated.iter().map(|index| questions[*index].clone()).collect();
    let (whole, tcp_errors) =
        collect(again.iter().zip(ask::ask_all_tcp(server, &again)).map(|(q, bytes)| parse(q, &bytes)));
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

/// What the servers serve, as far as comparing needs it.
#[derive(Debug, Default)]
pub struct World {
    /// Apexes of the zones, in lower case.
    pub apexes: BTreeSet<Name>,
    /// Names that own records, in lower case.
    pub owners: BTreeSet<Name>,
    /// Names with NS records that are no apex: cuts, and some that are occluded by cuts above.
    pub cuts: BTreeSet<Name>,
}

impl World {
    /// The world of these zones.
    #[must_use]
    pub fn new<'a>(zones: impl IntoIterator<Item = &'a Contents>) -> World {
        let zones: Vec<&Contents> = zones.into_iter().collect();
        let apexes: BTreeSet<Name> = zones.iter().map(|zone| zone.apex.to_ascii_lowercase()).collect();
        let rrsets =
            || zones.iter().flat_map(|zone| &zone.rrsets).map(|(name, rtype)| (name.to_ascii_lowercase(), *rtype));
        let owners = rrsets().map(|(name, _)| name).collect();
        let delegated = rrsets().filter(|(name, rtype)| *rtype == Rtype::NS && !apexes.contains(name));
        let cuts = delegated.map(|(name, _)| name).collect();
        World { apexes, owners, cuts }
    }

    /// The apex of the zone that has `name`.
    #[must_use]
    pub fn zone_of(&self, name: &Name) -> Option<Name> {
        ancestors(name).find(|name| self.apexes.contains(name))
    }

    /// The cut at or above `name`, if there is one.
    #[must_use]
    pub fn cut_of(&self, name: &Name) -> Option<Name> {
        ancestors(name).find(|name| self.cuts.contains(name))
    }
}

fn ancestors(name: &Name) -> impl Iterator<Item = Name> {
    std::iter::successors(Some(name.to_ascii_lowercase()), |name| Some(name.as_ref().parent()?.to_owned()))
}

/// A question with the answers of two servers.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was asked.
    pub question: &'a Question,
    /// Our answer.
    pub ours: &'a Answer,
    /// Who gave the other one.
    pub peer: Subject,
    /// The other answer.
    pub theirs: &'a Answer,
    /// What the servers serve.
    pub world: &'a World,
}

impl Case<'_> {
    /// The facets in which the answers differ.
    #[must_use]
    pub fn differing(&self) -> Vec<Facet> {
        let (a, b) = (self.ours, self.theirs);
        let header = |answer: &Answer| (answer.rcode, answer.aa, answer.ra, answer.ad);
        let same = header(a) == header(b) && a.order == b.order;
        if same && a.answer == b.answer && a.authority == b.authority && a.additional == b.additional {
            return Vec::new();
        }
        let mut facets = Vec::new();
        let mut check = |facet: Facet, same: bool| {
            if !same {
                facets.push(facet);
            }
        };
        check(Facet::Rcode, a.rcode == b.rcode);
        check(Facet::Flags, (a.aa, a.ra, a.ad) == (b.aa, b.ra, b.ad));
        check(Facet::Answer, a.answer == b.answer);
        // Two RRsets of one owner have no order between them; a chain has.
        check(Facet::Order, self.question.rtype == Rtype::ANY || a.answer != b.answer || a.order == b.order);
        check(Facet::Authority, self.authority(a) == self.authority(b));
        // With less room some may be left out (RFC 9471 §3.1 says which); each server checks itself against TCP.
        check(Facet::Glue, self.question.udp_bytes_max != Some(4096) || self.glue(a) == self.glue(b));
        let has_targets = [Rtype::NS, Rtype::MX, Rtype::SRV, Rtype::SVCB, Rtype::HTTPS].contains(&self.question.rtype);
        let whole = self.question.udp_bytes_max == Some(4096)
            && has_targets
            && a.aa
            && a.answer == b.answer
            && a.authority.is_empty();
        let comparable = self.peer == Subject::Named && whole;
        check(Facet::Additional, !comparable || self.additional_is_fit());
        facets
    }

    fn additional_is_fit(&self) -> bool {
        let (ours, theirs) = (&self.ours.additional, &self.theirs.additional);
        let known = ours.iter().all(|(key, set)| theirs.get(key) == Some(set));
        known && self.targets_of(self.theirs).keys().all(|key| ours.contains_key(key))
    }

    /// Whether RDATA of our answer section has this name.
    #[must_use]
    pub fn is_target(&self, name: &Name) -> bool {
        self.ours.answer.iter().any(|(key, (_, rdatas))| {
            rdatas.iter().any(|data| rdata::names(key.rtype, data).any(|target| target == name.as_ref()))
        })
    }

    /// What stands in the additional section about names in our answer section.
    #[must_use]
    pub fn targets_of(&self, answer: &Answer) -> Rrsets {
        filtered(&answer.additional, |key| self.is_target(&key.owner))
    }

    /// The authority section without the NS RRset of a zone that the answer itself is from (RFC 1034 §4.3.2 does not
    /// ask for it, some servers add it).
    #[must_use]
    pub fn authority(&self, answer: &Answer) -> Rrsets {
        let optional = |key: &Key| {
            answer.aa && !answer.answer.is_empty() && key.covered == Rtype::NS && self.world.apexes.contains(&key.owner)
        };
        filtered(&answer.authority, |key| !optional(key))
    }

    /// The glue of a referral: addresses of its name servers that are below a cut themselves. Addresses that are
    /// authoritative data of the zone are optional.
    #[must_use]
    pub fn glue(&self, answer: &Answer) -> Rrsets {
        let address = |key: &Key| key.rtype == Rtype::A || key.rtype == Rtype::AAAA;
        if !answer.is_referral() {
            return Rrsets::new();
        }
        filtered(&answer.additional, |key| address(key) && self.world.cut_of(&key.owner).is_some())
    }
}

impl Case<'_> {
    /// The glue that a referral cannot do without: below the very cut that it refers to (RFC 9471 §2.1).
    #[must_use]
    pub fn own_glue(&self, answer: &Answer) -> Rrsets {
        let cuts: Vec<Name> =
            answer.authority.keys().filter(|key| key.rtype == Rtype::NS).map(|key| key.owner).collect();
        filtered(&self.glue(answer), |key| cuts.iter().any(|cut| key.owner.as_ref().is_within(cut.as_ref())))
    }
}

fn filtered(rrsets: &Rrsets, keep: impl Fn(&Key) -> bool) -> Rrsets {
    rrsets.iter().filter(|(key, _)| keep(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl Case<'_> {
    /// The difference in words: the question, both kinds of answer, and what only one of them has.
    #[must_use]
    pub fn describe(&self, facet: Facet) -> String {
        let section = |answer: &Answer| match facet {
            Facet::Answer | Facet::Order => answer.answer.clone(),
            Facet::Authority => self.authority(answer),
            Facet::Glue => self.glue(answer),
            Facet::Additional => answer.additional.clone(),
            Facet::Rcode | Facet::Flags => Rrsets::new(),
        };
        let (ours, theirs) = (section(self.ours), section(self.theirs));
        let only = |these: &Rrsets, others: &Rrsets| -> Rrsets {
            these
                .iter()
                .filter(|(key, set)| others.get(key) != Some(set))
                .map(|(k, set)| (k.clone(), set.clone()))
                .collect()
        };
        let mut text =
            format!("{}\n    ours: {}\n    {:?}: {}", self.question, self.ours.kind(), self.peer, self.theirs.kind());
        for (who, rrsets) in [("ours", only(&ours, &theirs)), ("theirs", only(&theirs, &ours))] {
            if !rrsets.is_empty() {
                text += &format!("\n      only {who}:{}", describe(&rrsets));
            }
        }
        text
    }
}

/// Counts of listed differences by rule, and the unlisted ones.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How often each rule decided.
    pub by_rule: BTreeMap<&'static str, usize>,
    /// Unlisted differences by peer and facet: how many, and the first few in words.
    pub unlisted: BTreeMap<(Subject, Facet, String), (usize, Vec<String>)>,
}

/// Examples that a message shows of each kind.
const EXAMPLES_MAX: usize = 2;

impl Outcome {
    /// Records a difference that no rule covers.
    pub fn unlisted(&mut self, facet: Facet, case: &Case<'_>) {
        let kind = format!("{}  <>  {}", case.ours.kind(), case.theirs.kind());
        let (count, examples) = self.unlisted.entry((case.peer, facet, kind)).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_MAX {
            examples.push(case.describe(facet));
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "differences by their entry: {:?}", self.by_rule)?;
        for ((peer, facet, kind), (count, examples)) in &self.unlisted {
            writeln!(f, "{count} answers differ from {peer:?} in {facet:?}: {kind}")?;
            for example in examples {
                writeln!(f, "  {example}")?;
            }
        }
        Ok(())
    }
}
