//! The differences between Parapet's answers and those of a peer that are meant to be: each with the RFC that decides.
//! A difference that is not listed here fails the comparison, and so does an entry that nothing needs any more.

use wire::{Name, NameRef, Rcode, Rtype, rdata};

use crate::answer::{Key, Rrsets};
use crate::compare::{Case, Facet, Subject};

/// One listed difference.
#[derive(Debug)]
pub struct Difference {
    /// A short name.
    pub name: &'static str,
    /// The peers that answer otherwise.
    pub peers: &'static [Subject],
    /// The parts of the answer that may differ.
    pub facets: &'static [Facet],
    /// What decides.
    pub decided_by: &'static str,
    /// What Parapet does, what the peer does, and why ours stands.
    pub why: &'static str,
    /// Whether a difference is this one.
    pub applies: fn(&Case<'_>) -> bool,
}

use Facet::{Additional, Answer, Authority, Flags, Glue, Rcode as ResponseCode};
use Subject::{Knot, Named, Nsd};

/// All of them; `answers.md` is made from this table.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "any-is-minimal",
        peers: &[Named, Nsd, Knot],
        facets: &[Answer, Authority],
        decided_by: "RFC 8482 §4.1",
        why: "To ANY one RRset of the node is enough. Which one is free, so the peers differ among themselves; named has \
              all of them, and what Parapet picks has to be among those.",
        applies: any_is_minimal,
    },
    Difference {
        name: "rrsig-question",
        peers: &[Named, Nsd, Knot],
        facets: &[ResponseCode, Answer, Authority],
        decided_by: "RFC 4035 §3.1.1, RFC 8482 §4.1",
        why: "No RFC asks that QTYPE RRSIG gets every signature of a node: RRSIG RRs are no RRset of their own and are sent \
              with what they sign. The peers differ among themselves; what Parapet sends has to be among what named sends.",
        applies: rrsig_question,
    },
    Difference {
        name: "any-below-a-dname",
        peers: &[Named],
        facets: &[ResponseCode, Answer, Authority],
        decided_by: "RFC 6672 §3.2",
        why: "A name below a DNAME is substituted whatever type is asked for, ANY as well, and the new name answers. named \
              stops at the synthesized CNAME.",
        applies: |case| {
            let dname = |answer: &crate::Answer| answer.answer.keys().any(|key| key.rtype == Rtype::DNAME);
            case.question.rtype == Rtype::ANY && dname(case.ours) && dname(case.theirs)
        },
    },
    Difference {
        name: "loop-is-servfail",
        peers: &[Named],
        facets: &[ResponseCode],
        decided_by: "RFC 1034 §4.3.2 step 3a, §3.6.2",
        why: "A CNAME loop ends where it comes round; the chain is the answer. named sends the same chain with SERVFAIL, \
              which makes resolvers try every other server.",
        applies: |case| case.theirs.rcode == Rcode::SERVFAIL && case.ours.rcode == Rcode::NOERROR && ends_in_loop(case),
    },
    Difference {
        name: "short-chains",
        peers: &[Knot],
        facets: &[ResponseCode, Answer, Authority],
        decided_by: "RFC 1034 §4.3.2 step 3a, §3.6.2",
        why: "Chains of CNAMEs within the zone are followed to their end (with a bound well above what zones have); Knot \
              stops after five links.",
        applies: |case| {
            let (ours, theirs) = (&case.ours.order, &case.theirs.order);
            theirs.len() >= 5 && ours.len() > theirs.len() && ours.starts_with(theirs)
        },
    },
    Difference {
        name: "nsec-at-a-cut",
        peers: &[Named],
        facets: &[Flags, Answer, Authority, Glue],
        decided_by: "RFC 1034 §4.3.2 step 3b, RFC 4035 §3.1.4.1",
        why: "DS is the one type for which the parent answers with authority at a cut; a question for NSEC there gets the \
              referral. named answers with the parent's NSEC.",
        applies: |case| case.question.rtype == Rtype::NSEC && case.ours.is_referral() && case.theirs.aa,
    },
    Difference {
        name: "chain-into-another-zone",
        peers: &[Named, Nsd, Knot],
        facets: &[ResponseCode, Answer, Authority],
        decided_by: "RFC 1034 §4.3.2 step 3a",
        why: "A chain that leaves its zone ends there (at a cut with the referral, as Knot has it): resolvers ask for the \
              target again in any case, for they trust no data of another zone, and who serves both zones is chance. NSD \
              goes on in the other zone, named stops without a word.",
        applies: chain_leaves_zone,
    },
    Difference {
        name: "nsec-question-at-an-alias",
        peers: &[Named, Nsd, Knot],
        facets: &[ResponseCode, Answer, Authority],
        decided_by: "RFC 4035 §2.5, RFC 1034 §4.3.2 step 3a",
        why: "NSEC may stand beside a CNAME, so a question for it is answered at the alias; where the alias has none (an \
              unsigned or NSEC3 zone) the peers disagree on whether the CNAME is followed.",
        applies: |case| {
            matches!(case.question.rtype, Rtype::NSEC | Rtype::NSEC3)
                && (has_alias(case.ours) || has_alias(case.theirs))
        },
    },
    Difference {
        name: "wildcard-asked-literally",
        peers: &[Nsd],
        facets: &[Authority],
        decided_by: "RFC 5155 §7.2.3",
        why: "A wildcard that is asked for by its own name is an exact match: one NSEC3 proves the missing type. NSD adds the \
              closest encloser proof of §7.2.5.",
        applies: |case| last_asked(case).as_ref().is_wildcard() && only_more_proofs(case, Rtype::NSEC3),
    },
    Difference {
        name: "opt-out-empty-non-terminal",
        peers: &[Nsd],
        facets: &[Authority],
        decided_by: "RFC 5155 §7.2.1, §7.1",
        why: "Below an empty non-terminal that exists only because of unsigned delegations, opt-out leaves no NSEC3 for it; \
              the proof starts at the closest provable encloser. NSD takes the empty non-terminal for one.",
        applies: |case| case.theirs.rcode == case.ours.rcode && below_label(case, &[b"cutent", b"cutent2"]),
    },
    Difference {
        name: "proof-after-dname",
        peers: &[Nsd],
        facets: &[Authority],
        decided_by: "RFC 4035 §3.1.3.2",
        why: "After a DNAME the name that does not exist is the new one; NSD leaves out the NSEC that covers it.",
        applies: |case| case.ours.answer.keys().any(|key| key.rtype == Rtype::DNAME) && same_but_for(case, Rtype::NSEC),
    },
    Difference {
        name: "wildcard-is-empty-non-terminal",
        peers: &[Named, Knot],
        facets: &[Authority],
        decided_by: "RFC 4592 §4.9, RFC 4035 §3.1.3.4, RFC 5155 §7.2.5",
        why: "A wildcard may be an empty non-terminal, and match. The proof is that of a wildcard without the type; named \
              leaves out one NSEC of it, Knot all NSEC3 but one.",
        applies: |case| {
            below_label(case, &[b"wild-mid", b"dbl"])
                && (same_but_for(case, Rtype::NSEC) || same_but_for(case, Rtype::NSEC3))
        },
    },
    Difference {
        name: "asterisk-matched-by-a-wildcard",
        peers: &[Knot],
        facets: &[Authority],
        decided_by: "RFC 4592 §3.3.1, RFC 4035 §3.1.3.3, RFC 5155 §7.2.5, §7.2.6",
        why: "A name that begins with an asterisk and does not exist is matched by a wildcard above like any other, and \
              needs the same proof. Knot leaves it out.",
        applies: |case| {
            (case.question.name.as_ref().is_wildcard() || last_asked(case).as_ref().is_wildcard())
                && is_part(&case.authority(case.theirs), &case.authority(case.ours))
        },
    },
    Difference {
        name: "nsec-from-a-wildcard",
        peers: &[Knot],
        facets: &[Authority],
        decided_by: "RFC 4035 §3.1.3.3",
        why: "A question for NSEC that a wildcard answers is a wildcard answer: it needs the proof that no closer name \
              matches. Knot leaves it out.",
        applies: |case| {
            case.question.rtype == Rtype::NSEC
                && case.ours.answer == case.theirs.answer
                && is_part(&case.authority(case.theirs), &case.authority(case.ours))
        },
    },
    Difference {
        name: "order-of-zero-octets",
        peers: &[Knot],
        facets: &[Authority],
        decided_by: "RFC 4034 §6.1",
        why: "The octet 0 in a label sorts before any other, but after the end of the label and all that is below it. Knot \
              picks the NSEC before that one.",
        applies: |case| {
            case.question.name.as_ref().labels().any(|label| label.contains(&0)) && same_but_for(case, Rtype::NSEC)
        },
    },
    Difference {
        name: "glue-without-truncation",
        peers: &[Nsd],
        facets: &[Glue],
        decided_by: "RFC 9471 §3.1",
        why: "All glue that fits is sent. NSD stops at 1480 bytes, whatever size was asked for.",
        applies: |case| {
            case.theirs.length <= 1480
                && case.glue(case.theirs).keys().all(|key| case.glue(case.ours).contains_key(key))
        },
    },
    Difference {
        name: "addresses-from-wildcards",
        peers: &[Named],
        facets: &[Additional],
        decided_by: "RFC 1034 §4.3.2 step 6",
        why: "What goes beside an answer is optional; addresses that would have to be made from a wildcard are left for \
              the client to ask for. named makes them.",
        applies: |case| {
            let (ours, theirs) = (&case.ours.additional, &case.theirs.additional);
            let missing = theirs.keys().filter(|key| !ours.contains_key(key) && case.is_target(&key.owner));
            is_part(ours, theirs) && missing.into_iter().all(|key| !case.world.owners.contains(&key.owner))
        },
    },
    Difference {
        name: "addresses-of-many-targets",
        peers: &[Named],
        facets: &[Additional],
        decided_by: "RFC 1034 §4.3.2 step 6",
        why: "What goes beside an answer is optional; Parapet adds what there is room for, named looks at no more than 13 \
              records of an answer.",
        applies: |case| {
            case.ours.answer.values().any(|(_, rdatas)| rdatas.len() > 13)
                && is_part(&case.targets_of(case.theirs), &case.ours.additional)
        },
    },
];

/// The entry that a difference falls under.
#[must_use]
pub fn listed(case: &Case<'_>, facet: Facet) -> Option<&'static Difference> {
    DIFFERENCES
        .iter()
        .find(|entry| entry.peers.contains(&case.peer) && entry.facets.contains(&facet) && (entry.applies)(case))
}

fn any_is_minimal(case: &Case<'_>) -> bool {
    case.question.rtype == Rtype::ANY && (case.peer != Named || is_part(&case.ours.answer, &case.theirs.answer))
}

fn rrsig_question(case: &Case<'_>) -> bool {
    case.question.rtype == Rtype::RRSIG && (case.peer != Named || is_part(&case.ours.answer, &case.theirs.answer))
}

fn is_part(part: &Rrsets, whole: &Rrsets) -> bool {
    part.iter().all(|(key, set)| whole.get(key) == Some(set))
}

/// The name that the answer ends with: the last link's target, or the name that was asked for.
fn last_asked(case: &Case<'_>) -> Name {
    last_target(case.ours).unwrap_or(case.question.name)
}

fn last_target(answer: &crate::Answer) -> Option<Name> {
    let (owner, _) = answer.order.iter().rfind(|(_, rtype)| *rtype == Rtype::CNAME)?;
    let key = Key { owner: *owner, rtype: Rtype::CNAME, covered: Rtype::CNAME };
    let (_, rdatas) = answer.answer.get(&key)?;
    rdata::names(Rtype::CNAME, rdatas.first()?).next().map(NameRef::to_owned)
}

fn has_alias(answer: &crate::Answer) -> bool {
    answer.answer.keys().any(|key| key.rtype == Rtype::CNAME)
}

fn ends_in_loop(case: &Case<'_>) -> bool {
    last_target(case.ours).is_some_and(|target| case.ours.order.iter().any(|(owner, _)| *owner == target))
}

fn chain_leaves_zone(case: &Case<'_>) -> bool {
    let zone = case.world.zone_of(&case.question.name);
    let leaves = |answer: &crate::Answer| last_target(answer).is_some_and(|target| case.world.zone_of(&target) != zone);
    let inside = |target: &Name| case.world.zone_of(target).is_some();
    leaves(case.ours)
        && last_target(case.ours).is_some_and(|target| inside(&target))
        && case.theirs.order.starts_with(&case.ours.order)
}

fn below_label(case: &Case<'_>, labels: &[&[u8]]) -> bool {
    case.question.name.to_ascii_lowercase().as_ref().labels().any(|label| labels.contains(&label))
}

/// The authority sections are the same when records of this type and their signatures are left out.
fn same_but_for(case: &Case<'_>, rtype: Rtype) -> bool {
    let rest = |answer| {
        let mut rrsets = case.authority(answer);
        rrsets.retain(|key, _| key.covered != rtype);
        rrsets
    };
    rest(case.ours) == rest(case.theirs)
}

fn only_more_proofs(case: &Case<'_>, rtype: Rtype) -> bool {
    same_but_for(case, rtype) && is_part(&case.authority(case.ours), &case.authority(case.theirs))
}

/// The table for people.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    for entry in DIFFERENCES {
        let peers: Vec<String> = entry
            .peers
            .iter()
            .map(|peer| format!("{peer:?}").replace("Named", "named").replace("Nsd", "NSD"))
            .collect();
        let facets: Vec<String> = entry.facets.iter().map(|facet| format!("{facet:?}").to_lowercase()).collect();
        text += &format!(
            "\n## {}\n\nBeside {}, in {}. Decided by {}.\n\n{}\n",
            entry.name,
            peers.join(", "),
            facets.join(", "),
            entry.decided_by,
            entry.why
        );
    }
    text
}

const INTRODUCTION: &str = "\
# Where Parapet answers otherwise than its peers

`cargo test -p parapet-tests --test answers` asks Parapet, `named`, NSD and Knot the same questions about the same zones
and compares response code, flags, answer section (RRsets and the order of chains), authority section (proofs and referrals)
and glue; and, beside `named`, the addresses that come with NS, MX, SRV, SVCB and HTTPS. Free are order within RRsets, case,
compression, and the zone's own NS RRset beside an answer. These differences remain, each with what decides. The list is made from `tests/src/differences.rs`.
";
