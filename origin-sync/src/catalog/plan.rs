//! What catalogs say, made into what is to be done with zones (RFC 9432 §4.3.1, §5.2 to §5.6). No I/O.
//!
//! ```text
//! who has the zone         what the catalogs say now                             what happens
//! nobody                   a catalog lists it                                    it is added; the first catalog has it
//! the configuration        a catalog lists it                                    nothing: a clash (§5.2)
//! catalog C                the configuration has it, too                         it is the configuration's, with its data
//! catalog C, label L       C lists it at L                                       nothing, or its group changed
//!                          C lists it at another label                           it is reset (§5.4, §5.6)
//!                          C does not list it any more                           it is removed (§5.3)
//!                          C lists it with coo N, N lists it at L                N has it, with all its data (§4.3.1)
//!                          C lists it with coo N, N lists it at another label    N has it, reset
//!                          another catalog lists it, too                         nothing: a clash (§5.2)
//! ```
//!
//! A change of ownership is made as soon as both sides say so, whichever of the two catalogs came last: NOTIFYs overtake
//! each other. Two catalogs that offer a zone to each other keep it where it is.

use std::collections::HashMap;

use wire::NameBox;

use crate::catalog::content::{CatalogContent, Label, Member};

/// Names of clashing zones that are told for a catalog.
const CLASHES_NAMED: usize = 3;

/// Where a member zone is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The catalog.
    pub catalog: NameBox,
    /// Its label there.
    pub label: Label,
}

/// Zones of catalogs by their names.
pub(crate) type Owners = HashMap<NameBox, Owner>;

/// What happens to one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The configuration has it now: it keeps what it has.
    Release(NameBox),
    /// It goes, and its files with it.
    Remove(NameBox),
    /// It goes, and its files with it; then it is added anew.
    Reset(NameBox, Owner),
    /// It is added.
    Add(NameBox, Owner),
    /// Another catalog has it now, or its groups may be others; it keeps what it has.
    Keep(NameBox, Owner),
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// For zones of which anything changes; removals and resets first.
    pub steps: Vec<Step>,
    /// What each catalog lists in vain, in the order of the catalogs.
    pub clashes: Vec<Clashes>,
}

/// Zones that a catalog lists and does not get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clashes {
    /// How many.
    pub count: u64,
    /// The first of them, each with who has it.
    pub named: Vec<String>,
}

impl Clashes {
    fn add(&mut self, zone: &NameBox, holder: &dyn std::fmt::Display) {
        self.count += 1;
        if self.named.len() < CLASHES_NAMED {
            self.named.push(format!("{zone} (of {holder})"));
        }
    }

    /// A sentence for people, if there is anything to tell.
    pub(crate) fn told(&self) -> Option<String> {
        let first = self.named.join(", ");
        let more = if self.count > self.named.len() as u64 { ", …" } else { "" };
        (self.count > 0).then(|| format!("{} zones are listed here and had elsewhere: {first}{more}", self.count))
    }
}

/// A catalog as the plan sees it.
pub(crate) struct Listed<'a> {
    /// Its name.
    pub name: &'a NameBox,
    /// What it said when it was last whole.
    pub content: &'a CatalogContent,
}

/// Plans the way from the present owners to what the catalogs say. The order of the catalogs decides who gets a zone that
/// nobody has; `taken` tells names that no catalog may have. Members whose groups may have changed are kept explicitly
/// when `before` (their catalog's content at the last plan) says otherwise of them.
pub(crate) fn plan(
    catalogs: &[Listed<'_>],
    before: &HashMap<&NameBox, &CatalogContent>,
    owners: &Owners,
    taken: &dyn Fn(&NameBox) -> bool,
) -> Plan {
    let index: HashMap<&NameBox, usize> = catalogs.iter().enumerate().map(|(at, listed)| (listed.name, at)).collect();
    let listings: Vec<HashMap<&NameBox, (&Label, &Member)>> = catalogs.iter().map(|c| by_zone(c.content)).collect();
    let planner = Planner { catalogs, index, listings, before, owners, taken };
    let mut plan = Plan { steps: Vec::new(), clashes: vec![Clashes::default(); catalogs.len()] };
    let mut additions = Vec::new();
    // What the owner's catalog no longer lists is free for the others, as a zone of which nothing is known.
    let mut removed: Owners = HashMap::new();
    for (zone, owner) in owners {
        match planner.present(zone, owner) {
            Fate::Stays => {}
            Fate::Released => plan.steps.push(Step::Release(zone.clone())),
            Fate::Goes => {
                removed.insert(zone.clone(), owner.clone());
            }
            Fate::Resets(owner) => plan.steps.push(Step::Reset(zone.clone(), owner)),
            Fate::Moves(owner) => additions.push(Step::Keep(zone.clone(), owner)),
        }
    }
    planner.listed(&mut removed, &mut plan, &mut additions);
    plan.steps.extend(removed.into_keys().map(Step::Remove));
    plan.steps.append(&mut additions);
    plan
}

fn by_zone(content: &CatalogContent) -> HashMap<&NameBox, (&Label, &Member)> {
    content.members.iter().map(|(label, member)| (&member.zone, (label, member))).collect()
}

struct Planner<'a> {
    catalogs: &'a [Listed<'a>],
    index: HashMap<&'a NameBox, usize>,
    listings: Vec<HashMap<&'a NameBox, (&'a Label, &'a Member)>>,
    before: &'a HashMap<&'a NameBox, &'a CatalogContent>,
    owners: &'a Owners,
    taken: &'a dyn Fn(&NameBox) -> bool,
}

/// What becomes of a zone that a catalog has.
enum Fate {
    Stays,
    Released,
    Goes,
    Resets(Owner),
    Moves(Owner),
}

impl<'a> Planner<'a> {
    fn listing(&self, catalog: &NameBox, zone: &NameBox) -> Option<(&'a Label, &'a Member)> {
        let at = *self.index.get(catalog)?;
        self.listings.get(at)?.get(zone).copied()
    }

    fn present(&self, zone: &NameBox, owner: &Owner) -> Fate {
        if (self.taken)(zone) {
            return Fate::Released;
        }
        let Some((label, member)) = self.listing(&owner.catalog, zone) else {
            return Fate::Goes;
        };
        let (next, next_member) = match self.successor(zone, &owner.catalog, member) {
            Some((catalog, label, member)) => (Owner { catalog: catalog.clone(), label: label.clone() }, member),
            None => (Owner { catalog: owner.catalog.clone(), label: label.clone() }, member),
        };
        // Also when the label changed before the catalog did: whatever we have is of another instance of the zone.
        if *label != owner.label || next.label != owner.label {
            return Fate::Resets(next);
        }
        if next != *owner || self.groups_before(owner).is_none_or(|groups| groups != &*next_member.groups) {
            return Fate::Moves(next);
        }
        Fate::Stays
    }

    fn groups_before(&self, owner: &Owner) -> Option<&[Box<[u8]>]> {
        Some(&self.before.get(&owner.catalog)?.members.get(&owner.label)?.groups)
    }

    /// The catalog that takes a member over (§4.3.1): its own offers it there, and that one lists it.
    fn successor(
        &self,
        zone: &NameBox,
        from: &NameBox,
        member: &'a Member,
    ) -> Option<(&'a NameBox, &'a Label, &'a Member)> {
        let to = member.coo.as_ref().filter(|&to| to != from)?;
        let (label, there) = self.listing(to, zone)?;
        // Each offers it to the other: who is to have it?
        (there.coo.as_ref() != Some(from)).then_some((to, label, there))
    }

    /// Looks at all that is listed: what nobody has is added, what somebody else has is a clash.
    fn listed(&self, removed: &mut Owners, plan: &mut Plan, additions: &mut Vec<Step>) {
        let mut added: HashMap<&NameBox, &NameBox> = HashMap::new();
        let moved: HashMap<NameBox, NameBox> = plan
            .steps
            .iter()
            .chain(additions.iter())
            .filter_map(|step| match step {
                Step::Reset(zone, owner) | Step::Keep(zone, owner) => Some((zone.clone(), owner.catalog.clone())),
                Step::Release(_) | Step::Remove(_) | Step::Add(..) => None,
            })
            .collect();
        for (at, catalog) in self.catalogs.iter().enumerate() {
            for (label, member) in &catalog.content.members {
                let zone = &member.zone;
                let mut clash = |holder: &dyn std::fmt::Display| {
                    if let Some(clashes) = plan.clashes.get_mut(at) {
                        clashes.add(zone, holder);
                    }
                };
                if (self.taken)(zone) {
                    clash(&"the configuration");
                    continue;
                }
                let released = removed.contains_key(zone);
                let present = self.owners.get(zone).filter(|_| !released).map(|owner| &owner.catalog);
                let holder = added.get(zone).copied().or_else(|| moved.get(zone)).or(present);
                match holder {
                    Some(holder) if holder == catalog.name => {}
                    // It has been handed over, and the old owner still lists it, as it should for a while.
                    Some(holder) if member.coo.as_ref() == Some(holder) => {}
                    Some(holder) => clash(holder),
                    None => {
                        added.insert(zone, catalog.name);
                        let owner = Owner { catalog: catalog.name.clone(), label: label.clone() };
                        match removed.remove(zone) {
                            Some(_) => plan.steps.push(Step::Reset(zone.clone(), owner)),
                            None => additions.push(Step::Add(zone.clone(), owner)),
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
