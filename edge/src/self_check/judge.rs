//! What the answers say of the edge.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use health::{Report, State};
use wire::{Message, Rcode, Rtype, Section};
use zones::{ZoneState, ZoneTable};

use super::{
    Check, Target,
    rotation::{Place, Subject, place},
    round::{Asked, PORTS, Round},
};

/// What failed and has not been seen to work since; more than that is not remembered by name.
const FAILING_MAX: usize = 4096;
/// Failures that are told of by name.
const NAMED_MAX: usize = 3;

/// What failed, until it works.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    failing: BTreeMap<Subject, String>,
    /// By address: why TCP does not work there.
    tcp: BTreeMap<Target, String>,
}

impl Verdicts {
    /// What is to be asked for again.
    pub(super) fn failing(&self) -> impl Iterator<Item = Subject> + Clone + '_ {
        self.failing.keys().filter(|subject| subject.is_prompt()).cloned()
    }

    /// Takes a round's answers, and says how the edge is.
    pub(super) fn judge(&mut self, targets: &[Target], round: &Round, checks: &[Check], table: &ZoneTable) -> Report {
        self.forget(checks, table);
        let mut bad = BTreeMap::new();
        let by_tcp = round.tcp.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(asked, _)| asked);
        for asked in round.asked.iter().chain(by_tcp) {
            let verdict = verdict(asked, checks, table);
            // One wrong answer outweighs right ones of other lanes.
            match bad.get(&asked.subject) {
                Some(Err(_)) => {}
                _ => drop(bad.insert(asked.subject.clone(), verdict)),
            }
        }
        if let Some((target, outcome)) =
            round.tcp.as_ref().and_then(|(asked, it)| Some((targets.get(asked.target)?, it)))
        {
            match outcome {
                Ok(()) => drop(self.tcp.remove(target)),
                Err(why) => drop(self.tcp.insert(*target, why.clone())),
            }
        }
        self.tcp.retain(|target, _| targets.contains(target));
        for (subject, verdict) in bad {
            match verdict {
                Ok(()) => drop(self.failing.remove(&subject)),
                Err(why) if self.failing.len() < FAILING_MAX => drop(self.failing.insert(subject, why)),
                Err(_) => {}
            }
        }
        self.report(targets, round)
    }

    /// Forgets what there is no answer to expect of any more.
    fn forget(&mut self, checks: &[Check], table: &ZoneTable) {
        self.failing.retain(|subject, _| match subject {
            Subject::Zone(apex) => {
                table.get((**apex).as_ref()).is_some_and(|slot| matches!(&**slot.state(), ZoneState::Serving(_)))
            }
            Subject::Check(index, prompt) => match checks.get(*index).map(|check| place(table, check)) {
                Some(Place::Copy) => *prompt,
                Some(Place::OnDemand) => !*prompt,
                Some(Place::Nowhere) | None => false,
            },
            Subject::Alive => true,
        });
    }

    fn report(&self, targets: &[Target], round: &Round) -> Report {
        let dead = |(at, _): &(usize, &Target)| round.ports_answered.get(*at).is_none_or(|answered| *answered == 0);
        let dead: Vec<(usize, &Target)> = targets.iter().enumerate().filter(dead).collect();
        if targets.is_empty() {
            return Report::hard(State::Down, "there is no address to ask at");
        }
        if dead.len() == targets.len() || dead.iter().any(|(_, target)| target.service) {
            let words = dead.iter().map(|(at, target)| silent_words(target, round.unreachable.get(*at)));
            return Report::hard(State::Down, few(words));
        }
        let mut wrong: Vec<String> =
            dead.iter().map(|(at, target)| silent_words(target, round.unreachable.get(*at))).collect();
        for (target, answered) in targets.iter().zip(&round.ports_answered).filter(|(_, answered)| **answered > 0) {
            if *answered < PORTS {
                wrong.push(format!("{} answered {answered} of {PORTS} ports over UDP", target.address));
            }
        }
        wrong.extend(self.tcp.iter().map(|(target, why)| format!("{} over TCP: {why}", target.address)));
        wrong.extend(self.failing.values().cloned());
        if wrong.is_empty() { Report::up() } else { Report::soft(State::Degraded, few(wrong.into_iter())) }
    }
}

fn silent_words(target: &Target, unreachable: Option<&Option<String>>) -> String {
    match unreachable {
        Some(Some(why)) => format!("{} cannot be asked: {why}", target.address),
        _ => format!("{} does not answer over UDP", target.address),
    }
}

/// The first few, and how many more there are.
fn few(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    let more = words.len().saturating_sub(NAMED_MAX);
    words.truncate(NAMED_MAX);
    let mut text = words.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Whether an answer is right.
fn verdict(asked: &Asked, checks: &[Check], table: &ZoneTable) -> Result<(), String> {
    let subject = match &asked.question {
        Some((name, rtype)) => format!("{name} {rtype}"),
        None => "the server's name".to_owned(),
    };
    let Some(bytes) = &asked.answer else {
        // What the origin has to be asked for may take its time.
        return if asked.subject.is_prompt() { Err(format!("{subject}: no answer")) } else { Ok(()) };
    };
    let Ok(message) = Message::parse(bytes) else { return Err(format!("{subject}: a malformed answer")) };
    let header = message.header;
    if header.id != asked.id || !header.flags.qr() {
        return Err(format!("{subject}: an answer to something else"));
    }
    let rcode = header.flags.rcode();
    match &asked.subject {
        // Whether it is told or refused: somebody answers.
        Subject::Alive => Ok(()),
        Subject::Zone(apex) => {
            let serving = table.get((**apex).as_ref()).is_some_and(|slot| slot.serving().is_some());
            // It came or went in between.
            if !serving {
                return Ok(());
            }
            if rcode != Rcode::NOERROR || !header.flags.aa() {
                return Err(format!("{subject}: {}", words(rcode, header.flags.aa())));
            }
            let soa = |record: &wire::Record<'_>| {
                record.section == Section::Answer
                    && record.rtype == Rtype::SOA
                    && record.owner().is_ok_and(|owner| owner.as_ref().eq_ignore_case((**apex).as_ref()))
            };
            let found = message.records().map_while(Result::ok).any(|record| soa(&record));
            if found { Ok(()) } else { Err(format!("{subject}: no such record")) }
        }
        Subject::Check(index, prompt) => {
            // It may have been another's place when it was asked.
            let here = |check: &&Check| place(table, check) != Place::Nowhere;
            let Some(check) = checks.get(*index).filter(here) else { return Ok(()) };
            if rcode != Rcode::NOERROR || (*prompt && !header.flags.aa()) {
                return Err(format!("{subject}: {}", words(rcode, header.flags.aa())));
            }
            // What does not fit cannot be judged.
            if header.flags.tc() { Ok(()) } else { find(&message, check).map_err(|why| format!("{subject}: {why}")) }
        }
    }
}

fn words(rcode: Rcode, aa: bool) -> String {
    if rcode == Rcode::NOERROR && !aa { "not authoritative".to_owned() } else { rcode.to_string() }
}

/// Whether the answer has what the check wants.
fn find(message: &Message<'_>, check: &Check) -> Result<(), String> {
    let answers = message.records().map_while(Result::ok).filter(|record| record.section == Section::Answer);
    let mut addresses =
        answers.clone().filter(|record| record.rtype == check.rtype).map(|record| address(record.rdata()));
    match check.expected {
        Some(expected) if addresses.clone().any(|address| address == Some(expected)) => Ok(()),
        Some(expected) => {
            let found: Vec<String> = addresses.flatten().map(|address| address.to_string()).collect();
            let found = if found.is_empty() { "nothing".to_owned() } else { few(found.into_iter()) };
            Err(format!("{expected} is not among the answers, which are {found}"))
        }
        // An alias may lead out of what is known here.
        None if addresses.next().is_some() || answers.clone().any(|record| record.rtype == Rtype::CNAME) => Ok(()),
        None => Err("no such record".to_owned()),
    }
}

fn address(rdata: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(rdata).ok().map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
    v4.or_else(|| <[u8; 16]>::try_from(rdata).ok().map(|octets| IpAddr::from(Ipv6Addr::from(octets))))
}
