//! Who has which zone, by section of RFC 9432.

use std::collections::BTreeSet;

use wire::Name;

use super::*;

fn name(text: &str) -> NameBox {
    NameBox::from(&text.parse::<Name>().unwrap())
}

/// A catalog: `label zone [coo=catalog] [group…]` for each member.
fn content(members: &[&str]) -> CatalogContent {
    let member = |text: &&str| {
        let mut words = text.split(' ');
        let (label, zone) = (words.next().unwrap(), name(words.next().unwrap()));
        let (mut coo, mut groups) = (None, Vec::new());
        for word in words {
            match word.strip_prefix("coo=") {
                Some(catalog) => coo = Some(name(catalog)),
                None => groups.push(Box::from(word.as_bytes())),
            }
        }
        (Box::from(label.as_bytes()), Member { zone, groups: groups.into_boxed_slice(), coo })
    };
    CatalogContent { serial: 1, members: members.iter().map(member).collect() }
}

/// A world of catalogs, and who has what in it.
#[derive(Default)]
struct World {
    catalogs: Vec<(NameBox, CatalogContent)>,
    before: HashMap<NameBox, CatalogContent>,
    owners: Owners,
    taken: Vec<NameBox>,
    clashes: Vec<Clashes>,
}

impl World {
    /// Sets a catalog, without any consequence yet.
    fn set(&mut self, catalog: &str, members: &[&str]) -> &mut World {
        let catalog = name(catalog);
        self.catalogs.retain(|(known, _)| *known != catalog);
        self.catalogs.push((catalog, content(members)));
        self.catalogs.sort_by_key(|(name, _)| name.to_string());
        self
    }

    /// Plans and carries it out; what is done, in words.
    fn update(&mut self) -> BTreeSet<String> {
        let listed: Vec<_> = self.catalogs.iter().map(|(name, content)| Listed { name, content }).collect();
        let before = self.before.iter().collect();
        let plan = plan(&listed, &before, &self.owners, &|zone| self.taken.contains(zone));
        self.before = self.catalogs.iter().cloned().collect();
        self.clashes = plan.clashes;
        let words = |verb: &str, zone: &NameBox, owner: &Owner| {
            format!("{verb} {zone} {} {}", owner.catalog, owner.label.escape_ascii())
        };
        let mut done = BTreeSet::new();
        let mut adding = false;
        for step in plan.steps {
            let goes = matches!(step, Step::Release(_) | Step::Remove(_) | Step::Reset(..));
            assert!(!(goes && adding), "what goes stands before what comes");
            adding |= !goes;
            let fresh = match &step {
                Step::Release(zone) => done.insert(format!("release {zone}")),
                Step::Remove(zone) => done.insert(format!("remove {zone}")),
                Step::Reset(zone, owner) => done.insert(words("reset", zone, owner)),
                Step::Add(zone, owner) => done.insert(words("add", zone, owner)),
                Step::Keep(zone, owner) => done.insert(words("keep", zone, owner)),
            };
            assert!(fresh, "{step:?} twice");
            match step {
                Step::Release(zone) | Step::Remove(zone) => drop(self.owners.remove(&zone).unwrap()),
                Step::Add(zone, owner) => assert_eq!(self.owners.insert(zone, owner), None),
                Step::Reset(zone, owner) | Step::Keep(zone, owner) => drop(self.owners.insert(zone, owner).unwrap()),
            }
        }
        // What was carried out needs nothing more.
        let listed: Vec<_> = self.catalogs.iter().map(|(name, content)| Listed { name, content }).collect();
        let again = super::plan(&listed, &self.before.iter().collect(), &self.owners, &|z| self.taken.contains(z));
        assert_eq!((again.steps, &again.clashes), (Vec::new(), &self.clashes), "planned again after {done:?}");
        done
    }

    fn clash_counts(&self) -> Vec<u64> {
        self.clashes.iter().map(|clashes| clashes.count).collect()
    }
}

fn set<const N: usize>(words: [&str; N]) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn members_appear_and_vanish() {
    let mut world = World::default();
    assert_eq!(world.set("c.", &["1 a.", "2 b."]).update(), set(["add a. c. 1", "add b. c. 2"]));
    assert_eq!(world.update(), set([]));
    assert_eq!(world.set("c.", &["2 b.", "3 d."]).update(), set(["remove a.", "add d. c. 3"]));
}

#[test]
fn a_group_that_changes_keeps_the_zone() {
    let mut world = World::default();
    world.set("c.", &["1 a.", "2 b. x"]).update();
    assert_eq!(world.set("c.", &["1 a. y", "2 b. x"]).update(), set(["keep a. c. 1"]));
}

#[test]
fn section_5_2_a_clash_changes_nothing() {
    let mut world = World { taken: vec![name("file.")], ..World::default() };
    assert_eq!(world.set("c.", &["1 a.", "2 file."]).update(), set(["add a. c. 1"]));
    assert_eq!(world.clash_counts(), [1]);
    // The first catalog keeps it, whatever their names' order says later.
    assert_eq!(world.set("b.", &["9 a."]).update(), set([]));
    assert_eq!(world.clash_counts(), [1, 1]);
    assert_eq!(world.clashes[0].told().unwrap(), "1 zones are listed here and had elsewhere: a. (of c.)");
    // Both new at once: the first of the catalogs.
    let mut world = World::default();
    assert_eq!(world.set("c.", &["1 a."]).set("b.", &["9 a."]).update(), set(["add a. b. 9"]));
}

#[test]
fn section_5_3_removal_from_another_catalog_does_nothing() {
    let mut world = World::default();
    world.set("b.", &["1 a."]).set("c.", &["1 a."]).update();
    assert_eq!(world.set("c.", &[]).update(), set([]));
}

#[test]
fn section_5_4_another_label_resets() {
    let mut world = World::default();
    world.set("c.", &["1 a."]).update();
    assert_eq!(world.set("c.", &["2 a."]).update(), set(["reset a. c. 2"]));
}

#[test]
fn section_5_5_removed_here_and_added_there() {
    let mut world = World::default();
    world.set("b.", &["1 a."]).set("c.", &["1 a."]).update();
    // Its state is gone even where the label is the same: nobody offered it.
    assert_eq!(world.set("b.", &[]).update(), set(["reset a. c. 1"]));
}

#[test]
fn section_4_3_1_change_of_ownership() {
    for (label, step) in [("1", "keep a. new. 1"), ("7", "reset a. new. 7")] {
        let mut world = World::default();
        world.set("new.", &[]).set("old.", &["1 a."]).update();
        assert_eq!(world.set("old.", &["1 a. coo=new."]).update(), set([]), "not before the new catalog lists it");
        let listed = format!("{label} a.");
        assert_eq!(world.set("new.", &[&listed]).update(), set([step]));
        assert_eq!(world.clash_counts(), [0, 0]);
        assert_eq!(world.set("old.", &[]).update(), set([]));
    }
}

#[test]
fn section_4_3_1_in_the_other_order() {
    let mut world = World::default();
    world.set("new.", &[]).set("old.", &["1 a."]).update();
    assert_eq!(world.set("new.", &["1 a."]).update(), set([]));
    assert_eq!(world.clash_counts(), [1, 0]);
    assert_eq!(world.set("old.", &["1 a. coo=new."]).update(), set(["keep a. new. 1"]));
}

#[test]
fn section_4_3_1_a_withdrawn_offer_moves_nothing() {
    let mut world = World::default();
    world.set("new.", &[]).set("old.", &["1 a. coo=new."]).update();
    world.set("old.", &["1 a."]).update();
    assert_eq!(world.set("new.", &["1 a."]).update(), set([]));
    assert_eq!(world.clash_counts(), [1, 0]);
}

#[test]
fn section_4_3_1_offers_to_nobody_and_to_each_other() {
    let mut world = World::default();
    assert_eq!(
        world.set("old.", &["1 a. coo=gone.", "2 b. coo=old."]).update(),
        set(["add a. old. 1", "add b. old. 2"])
    );
    let mut world = World::default();
    world.set("x.", &["1 a. coo=y."]).update();
    assert_eq!(world.set("y.", &["1 a. coo=x."]).update(), set([]));
}

#[test]
fn section_5_6_a_new_label_before_the_hand_over_resets() {
    let mut world = World::default();
    world.set("new.", &[]).set("old.", &["1 a."]).update();
    // Both are seen at once: the data that we have is of label 1.
    world.set("old.", &["2 a. coo=new."]);
    assert_eq!(world.set("new.", &["1 a."]).update(), set(["reset a. new. 1"]));
}

#[test]
fn a_zone_of_the_file_is_taken_from_its_catalog() {
    let mut world = World::default();
    world.set("c.", &["1 a."]).update();
    world.taken.push(name("a."));
    assert_eq!(world.update(), set(["release a."]));
    assert_eq!(world.clash_counts(), [1]);
}
