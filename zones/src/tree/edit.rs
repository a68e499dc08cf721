//! Edits of a tree: the touched pages and the way up to the root are written anew, all else is shared.

use std::sync::Arc;

use super::page::{Page, common_len};
use super::writer::{ENTRY_OVERHEAD, PageWriter};
use super::{Child, FANOUT_MAX, Inner, PAGE_BYTES_TARGET, Tree, group, grow_levels};

/// A page or node below a quarter of its room is joined with a neighbour where both fit one.
const PAGE_BYTES_MIN: usize = PAGE_BYTES_TARGET / 4;
const FANOUT_MIN: usize = FANOUT_MAX / 4;

/// What becomes of one key: its new value, or none.
pub(crate) struct Edit<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

/// What the edits change in the tree's totals, and scratch space.
#[derive(Default)]
struct Editor {
    writer: PageWriter,
    len_added: usize,
    len_removed: usize,
    bytes_added: usize,
    bytes_removed: usize,
}

impl Tree {
    /// The tree after `edits`, whose keys ascend strictly. Removing a key that is not there changes nothing.
    pub(crate) fn edit(&self, edits: &[Edit<'_>]) -> Tree {
        debug_assert!(edits.windows(2).all(|pair| pair[0].key < pair[1].key));
        if edits.is_empty() {
            return self.clone();
        }
        let mut editor = Editor::default();
        let mut children = match &self.root {
            Some(root) => editor.edit_child(root, edits),
            None => editor.edit_leaf(None, edits),
        };
        // A root with one child is a level too many.
        while let [Child::Inner(inner)] = children.as_slice() {
            let [only] = &*inner.children else { break };
            editor.bytes_removed += children.iter().map(Child::own_bytes).sum::<usize>();
            children = vec![only.clone()];
        }
        let root = grow_levels(children, &mut editor.writer, &mut editor.bytes_added);
        Tree {
            root,
            len: (self.len + editor.len_added).saturating_sub(editor.len_removed),
            bytes: (self.bytes + editor.bytes_added).saturating_sub(editor.bytes_removed),
        }
    }
}

impl Editor {
    /// The children that stand in `child`'s place after `edits`: none, one, or as many as it takes.
    fn edit_child(&mut self, child: &Child, edits: &[Edit<'_>]) -> Vec<Child> {
        self.bytes_removed += child.own_bytes();
        match child {
            Child::Leaf(page) => self.edit_leaf(Some(page), edits),
            Child::Inner(inner) => self.edit_inner(inner, edits),
        }
    }

    fn edit_inner(&mut self, inner: &Inner, edits: &[Edit<'_>]) -> Vec<Child> {
        let first_keys = Page::new(&inner.first_keys);
        let mut children = Vec::with_capacity(inner.children.len() + 1);
        let mut rest = edits;
        let mut bound = Vec::new();
        for (index, child) in inner.children.iter().enumerate() {
            let here = if index + 1 < inner.children.len() {
                bound.clear();
                first_keys.key_into(index + 1, &mut bound);
                rest.partition_point(|edit| edit.key < bound.as_slice())
            } else {
                rest.len()
            };
            let (mine, others) = rest.split_at(here);
            rest = others;
            if mine.is_empty() {
                children.push(child.clone());
            } else {
                children.extend(self.edit_child(child, mine));
            }
        }
        let children = self.join_small(children);
        if children.is_empty() {
            return children;
        }
        let nodes = group(children, &mut self.writer);
        self.bytes_added += nodes.iter().map(Child::own_bytes).sum::<usize>();
        nodes
    }

    /// Merges a leaf's entries with `edits` into pages of even size.
    fn edit_leaf(&mut self, page: Option<&Arc<[u8]>>, edits: &[Edit<'_>]) -> Vec<Child> {
        let page = Page::new(page.map_or(&[], |page| &**page));
        let mut merged = Merged::default();
        let mut edits = edits.iter().peekable();
        let mut key = Vec::new();
        for index in 0..page.count() {
            key.clear();
            page.key_into(index, &mut key);
            while let Some(edit) = edits.next_if(|edit| edit.key < key.as_slice()) {
                self.len_added += merged.push_edit(edit);
            }
            match edits.next_if(|edit| edit.key == key.as_slice()) {
                Some(edit) => self.len_removed += 1 - merged.push_edit(edit),
                None => merged.push(&key, page.value(index)),
            }
        }
        for edit in edits {
            self.len_added += merged.push_edit(edit);
        }
        self.write_leaves(&merged)
    }

    fn write_leaves(&mut self, merged: &Merged<'_>) -> Vec<Child> {
        let pages = merged.page_bytes().div_ceil(PAGE_BYTES_TARGET).max(1);
        let target = merged.page_bytes() / pages;
        let mut leaves = Vec::with_capacity(pages);
        for (key, value) in merged.iter() {
            // With one page everything is known to fit; else a page closes once it has its even share.
            let full = pages > 1 && self.writer.len_with(key, value) > target + value.len();
            if !self.writer.is_empty() && (full || !self.writer.has_room()) {
                leaves.push(Child::Leaf(self.writer.finish()));
            }
            self.writer.push(key, value);
        }
        if !self.writer.is_empty() {
            leaves.push(Child::Leaf(self.writer.finish()));
        }
        self.bytes_added += leaves.iter().map(Child::own_bytes).sum::<usize>();
        leaves
    }

    /// Joins neighbours of which one has become small.
    fn join_small(&mut self, children: Vec<Child>) -> Vec<Child> {
        let mut joined: Vec<Child> = Vec::with_capacity(children.len());
        for child in children {
            match joined.last().and_then(|last| self.join(last, &child)) {
                Some(both) => {
                    self.bytes_removed += child.own_bytes() + joined.last().map_or(0, Child::own_bytes);
                    self.bytes_added += both.own_bytes();
                    joined.pop();
                    joined.push(both);
                }
                None => joined.push(child),
            }
        }
        joined
    }

    fn join(&mut self, left: &Child, right: &Child) -> Option<Child> {
        match (left, right) {
            (Child::Leaf(left), Child::Leaf(right)) => {
                if left.len().min(right.len()) >= PAGE_BYTES_MIN || left.len() + right.len() > PAGE_BYTES_TARGET {
                    return None;
                }
                let mut key = Vec::new();
                for page in [Page::new(left), Page::new(right)] {
                    for index in 0..page.count() {
                        key.clear();
                        page.key_into(index, &mut key);
                        self.writer.push(&key, page.value(index));
                    }
                }
                Some(Child::Leaf(self.writer.finish()))
            }
            (Child::Inner(left), Child::Inner(right)) => {
                let (few, many) =
                    (left.children.len().min(right.children.len()), left.children.len() + right.children.len());
                if few >= FANOUT_MIN || many > FANOUT_MAX {
                    return None;
                }
                let children = left.children.iter().chain(&right.children).cloned().collect();
                Some(Child::Inner(Arc::new(Inner::new(children, &mut self.writer))))
            }
            _ => None,
        }
    }
}

/// The entries of a leaf after its edits, before they are spread over pages.
#[derive(Default)]
struct Merged<'a> {
    keys: Vec<u8>,
    entries: Vec<(std::ops::Range<usize>, &'a [u8])>,
    value_bytes: usize,
}

impl<'a> Merged<'a> {
    fn push(&mut self, key: &[u8], value: &'a [u8]) {
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.entries.push((start..self.keys.len(), value));
        self.value_bytes += value.len();
    }

    /// Returns how many entries it added.
    fn push_edit(&mut self, edit: &Edit<'a>) -> usize {
        match edit.value {
            Some(value) => {
                self.push(edit.key, value);
                1
            }
            None => 0,
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &'a [u8])> {
        self.entries.iter().map(|(key, value)| (&self.keys[key.clone()], *value))
    }

    /// About how long one page of all entries would be.
    fn page_bytes(&self) -> usize {
        let (Some((first, _)), Some((last, _))) = (self.entries.first(), self.entries.last()) else { return 0 };
        let prefix_len = common_len(&self.keys[first.clone()], &self.keys[last.clone()]);
        let tails: usize = self.entries.iter().map(|(key, _)| key.len().saturating_sub(prefix_len + 8)).sum();
        prefix_len + self.entries.len() * ENTRY_OVERHEAD + tails + self.value_bytes
    }
}
