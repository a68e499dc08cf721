//! What two trees do not share: the pages that an edit wrote anew.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Child, Tree};

impl Child {
    /// Where it lies: the same for a page or node that two trees share, and for no other.
    fn place(&self) -> *const u8 {
        match self {
            Child::Leaf(page) => page.as_ptr(),
            Child::Inner(inner) => Arc::as_ptr(inner).cast(),
        }
    }

    /// How many levels are below it.
    fn height(&self) -> usize {
        let (mut child, mut height) = (self, 0);
        while let Child::Inner(inner) = child {
            let Some(first) = inner.children.first() else { break };
            (child, height) = (first, height + 1);
        }
        height
    }

    fn children(&self) -> &[Child] {
        match self {
            Child::Leaf(_) => &[],
            Child::Inner(inner) => &inner.children,
        }
    }

    fn page(&self) -> Option<&Arc<[u8]>> {
        match self {
            Child::Leaf(page) => Some(page),
            Child::Inner(_) => None,
        }
    }
}

impl Tree {
    /// The leaf pages that are not in `old`, in no particular order. It costs what differs, not what is there: nothing below
    /// a node that both have is looked at.
    pub(crate) fn pages_not_in(&self, old: &Tree) -> Vec<&Arc<[u8]>> {
        let height = |level: &[&Child]| level.first().map_or(0, |child| child.height());
        let mut ours: Vec<&Child> = self.root.iter().collect();
        let mut theirs: Vec<&Child> = old.root.iter().collect();
        // All leaves are at one depth, so that a shared node has the same height in both.
        while height(&theirs) > height(&ours) {
            theirs = below(&theirs);
        }
        while height(&ours) > height(&theirs) {
            ours = below(&ours);
        }
        loop {
            let shared: HashSet<_> = {
                let known: HashSet<_> = theirs.iter().map(|child| child.place()).collect();
                ours.iter().map(|child| child.place()).filter(|place| known.contains(place)).collect()
            };
            ours.retain(|child| !shared.contains(&child.place()));
            theirs.retain(|child| !shared.contains(&child.place()));
            if height(&ours) == 0 {
                return ours.into_iter().filter_map(Child::page).collect();
            }
            (ours, theirs) = (below(&ours), below(&theirs));
        }
    }
}

fn below<'t>(level: &[&'t Child]) -> Vec<&'t Child> {
    level.iter().flat_map(|child| child.children()).collect()
}
