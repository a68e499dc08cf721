//! Routes that a neighbour sent: some are kept to be shown, all are counted, none is ever installed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use netgauze_bgp_pkt::path_attribute::{As4PathSegment, AsPath, AsPathSegmentType};
use serde::{Deserialize, Serialize};

use super::update::{Attributes, Update};
use crate::status::ReceivedStatus;

/// AS numbers of a path that are shown.
const PATH_LENGTH_SHOWN_MAX: usize = 64;
/// Communities that are shown.
const COMMUNITIES_SHOWN_MAX: usize = 32;

/// A route as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRoute {
    /// Where it leads.
    pub prefix: IpNet,
    /// NEXT_HOP, or the global one of MP_REACH_NLRI.
    pub next_hop: IpAddr,
    /// ORIGIN: `igp`, `egp` or `incomplete`.
    pub origin: String,
    /// AS_PATH as routers print it, sets in braces; long ones end with `…`.
    pub as_path: String,
    /// Whether the node's own AS is in the path: no other router would take it.
    pub own_as: bool,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF; only within an AS.
    pub local_pref: Option<u32>,
    /// All kinds of communities; long lists end with `…`.
    pub communities: Vec<String>,
}

/// What the routes of one UPDATE have in common.
#[derive(Debug)]
struct Description {
    origin: &'static str,
    as_path: String,
    own_as: bool,
    med: Option<u32>,
    local_pref: Option<u32>,
    communities: Vec<String>,
}

/// The routes of one session. Memory is bounded by what is kept: at most `kept_max` prefixes, each with a description
/// of at most some kilobytes, which the routes of one UPDATE share.
#[derive(Debug)]
pub(crate) struct Routes {
    kept: BTreeMap<IpNet, (IpAddr, Arc<Description>)>,
    kept_max: usize,
    local_as: u32,
    counts: ReceivedStatus,
}

impl Routes {
    pub(crate) fn new(kept_max: usize, local_as: u32) -> Self {
        Self { kept: BTreeMap::new(), kept_max, local_as, counts: ReceivedStatus::default() }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.kept_max, self.local_as);
    }

    /// Counts what an UPDATE says, and keeps of it what there is room for.
    pub(crate) fn apply(&mut self, update: &Update<'_>) {
        self.counts.updates += 1;
        self.counts.withdrawn += count(update.withdrawn.len());
        self.counts.attributes_discarded += update.discarded;
        self.counts.treated_as_withdraw += u64::from(update.treated_as_withdraw.is_some());
        for prefix in &update.withdrawn {
            self.kept.remove(prefix);
        }
        let mut description = None;
        for reach in &update.announced {
            self.counts.announced += count(reach.prefixes.len());
            for prefix in &reach.prefixes {
                if self.kept.len() >= self.kept_max && !self.kept.contains_key(prefix) {
                    self.counts.not_kept += 1;
                    continue;
                }
                let description =
                    description.get_or_insert_with(|| Arc::new(describe(&update.attributes, self.local_as)));
                self.kept.insert(*prefix, (reach.next_hop, Arc::clone(description)));
            }
        }
    }

    pub(crate) fn counts(&self) -> ReceivedStatus {
        ReceivedStatus { kept: count(self.kept.len()), ..self.counts.clone() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ReceivedRoute> + '_ {
        self.kept.iter().map(|(&prefix, (next_hop, description))| ReceivedRoute {
            prefix,
            next_hop: *next_hop,
            origin: description.origin.to_owned(),
            as_path: description.as_path.clone(),
            own_as: description.own_as,
            med: description.med,
            local_pref: description.local_pref,
            communities: description.communities.clone(),
        })
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn describe(attributes: &Attributes<'_>, local_as: u32) -> Description {
    let path = merged_path(attributes);
    Description {
        origin: match attributes.origin {
            Some(0) => "igp",
            Some(1) => "egp",
            _ => "incomplete",
        },
        as_path: show_path(&path),
        own_as: path.iter().any(|segment| segment.as_numbers().contains(&local_as)),
        med: attributes.med,
        local_pref: attributes.local_pref,
        communities: show_communities(attributes),
    }
}

fn segments(path: &AsPath) -> Vec<As4PathSegment> {
    match path {
        AsPath::As4PathSegments(segments) => segments.to_vec(),
        AsPath::As2PathSegments(segments) => segments
            .iter()
            .map(|segment| {
                let numbers: Vec<_> = segment.as_numbers().iter().map(|&number| u32::from(number)).collect();
                As4PathSegment::new(segment.segment_type(), numbers)
            })
            .collect(),
    }
}

/// How long a path is for comparisons: a set counts once (RFC 4271 §9.1.2.2).
fn path_length(path: &[As4PathSegment]) -> usize {
    let length = |segment: &As4PathSegment| match segment.segment_type() {
        AsPathSegmentType::AsSet => 1,
        AsPathSegmentType::AsSequence => segment.as_numbers().len(),
    };
    path.iter().map(length).sum()
}

/// The true path: what AS_PATH has more at its front than AS4_PATH, then AS4_PATH (RFC 6793 §4.2.3).
fn merged_path(attributes: &Attributes<'_>) -> Vec<As4PathSegment> {
    let path = attributes.as_path.as_ref().map(segments).unwrap_or_default();
    let Some(new) = attributes.as4_path.as_ref().map(segments) else {
        return path;
    };
    let Some(mut missing) = path_length(&path).checked_sub(path_length(&new)) else {
        return path;
    };
    let mut merged = Vec::new();
    for segment in path {
        if missing == 0 {
            break;
        }
        match segment.segment_type() {
            AsPathSegmentType::AsSet => {
                missing -= 1;
                merged.push(segment);
            }
            AsPathSegmentType::AsSequence => {
                let front: Vec<_> = segment.as_numbers().iter().copied().take(missing).collect();
                missing -= front.len();
                merged.push(As4PathSegment::new(AsPathSegmentType::AsSequence, front));
            }
        }
    }
    merged.extend(new);
    merged
}

fn show_path(path: &[As4PathSegment]) -> String {
    let mut shown = Vec::new();
    let mut left = PATH_LENGTH_SHOWN_MAX;
    for segment in path {
        let numbers: Vec<_> = segment.as_numbers().iter().take(left).map(u32::to_string).collect();
        let is_cut = numbers.len() < segment.as_numbers().len();
        left -= numbers.len();
        shown.push(match segment.segment_type() {
            AsPathSegmentType::AsSet => format!("{{{}}}", numbers.join(" ")),
            AsPathSegmentType::AsSequence => numbers.join(" "),
        });
        if is_cut {
            shown.push("…".to_owned());
            break;
        }
    }
    shown.retain(|segment| !segment.is_empty());
    shown.join(" ")
}

fn show_communities(attributes: &Attributes<'_>) -> Vec<String> {
    let communities = attributes.communities.as_chunks::<4>().0.iter().map(|octets| show_community(*octets));
    let extended = attributes.extended_communities.as_chunks::<8>().0.iter().map(|octets| show_extended(*octets));
    let large = attributes.large_communities.as_chunks::<12>().0.iter().map(|octets| show_large(*octets));
    let mut all = communities.chain(extended).chain(large);
    let mut shown: Vec<_> = all.by_ref().take(COMMUNITIES_SHOWN_MAX).collect();
    if all.next().is_some() {
        shown.push("…".to_owned());
    }
    shown
}

fn show_community([a, b, c, d]: [u8; 4]) -> String {
    format!("{}:{}", u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// Route targets and origins as `rt:…` and `soo:…` (RFC 4360 §4, RFC 5668), others as they are.
fn show_extended([kind, subtype, a, b, c, d, e, f]: [u8; 8]) -> String {
    let name = match subtype {
        2 => "rt",
        3 => "soo",
        _ => "",
    };
    match (kind, name) {
        (0, "rt" | "soo") => format!("{name}:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])),
        (1, "rt" | "soo") => format!("{name}:{a}.{b}.{c}.{d}:{}", u16::from_be_bytes([e, f])),
        (2, "rt" | "soo") => format!("{name}:{}:{}", u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f])),
        _ => format!("0x{:016x}", u64::from_be_bytes([kind, subtype, a, b, c, d, e, f])),
    }
}

fn show_large([a, b, c, d, e, f, g, h, i, j, k, l]: [u8; 12]) -> String {
    let numbers = [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(|octets| u32::from_be_bytes(octets).to_string());
    numbers.join(":")
}
