//! A persistent B+tree from byte strings to byte strings: the ground of a zone's snapshot.
//!
//! ```text
//!                 Inner { first keys, children }            a node in an Arc
//!               /        |            \
//!        Inner …       Inner …      Inner …
//!       /   |   \
//!   page  page  page                                        a leaf: one Arc<[u8]>, about 4 KiB
//! ```
//!
//! Nothing is changed in place. [`Tree::edit`] writes anew the pages it touches and the nodes above them, and shares all
//! others with the tree it started from. Cloning a tree costs one reference count.

mod changed;
mod edit;
mod page;
mod writer;

use std::sync::Arc;

pub(crate) use edit::Edit;
pub(crate) use page::KEY_BYTES_MAX;
use page::Page;
use writer::PageWriter;

/// What a leaf page is filled up to; a page of a single entry may be longer.
const PAGE_BYTES_TARGET: usize = 4096 - 32;
/// Children of an inner node at most.
const FANOUT_MAX: usize = 128;

#[derive(Clone)]
enum Child {
    Leaf(Arc<[u8]>),
    Inner(Arc<Inner>),
}

/// An inner node: the first key of each child in a page without values, and the children.
struct Inner {
    first_keys: Box<[u8]>,
    children: Box<[Child]>,
}

/// An immutable sorted map of byte keys, cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    root: Option<Child>,
    len: usize,
    bytes: usize,
}

/// One entry of a tree.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'t> {
    page: &'t [u8],
    index: u32,
}

impl<'t> Entry<'t> {
    fn new(page: &'t [u8], index: usize) -> Entry<'t> {
        Entry { page, index: index as u32 }
    }

    #[inline]
    pub(crate) fn value(&self) -> &'t [u8] {
        Page::new(self.page).value(self.index as usize)
    }

    /// How many leading bytes the entry's key shares with `key`.
    #[inline]
    pub(crate) fn common_len(&self, key: &[u8]) -> usize {
        Page::new(self.page).common_len(self.index as usize, key)
    }

    pub(crate) fn key_into(&self, out: &mut Vec<u8>) {
        out.clear();
        Page::new(self.page).key_into(self.index as usize, out);
    }

    /// The key, in a buffer of the caller's.
    pub(crate) fn key<'b>(&self, buffer: &'b mut [u8; KEY_BYTES_MAX]) -> &'b [u8] {
        let len = Page::new(self.page).key_to(self.index as usize, buffer);
        buffer.get(..len).unwrap_or(&[])
    }

    /// The same entry of the same page, not merely an equal one.
    pub(crate) fn is(&self, other: &Entry<'_>) -> bool {
        std::ptr::eq(self.page, other.page) && self.index == other.index
    }
}

/// Where a key stands, or would stand.
pub(crate) struct Seek<'t> {
    page: &'t [u8],
    found: Result<usize, usize>,
    count: usize,
    left: Option<&'t Child>,
    right: Option<&'t Child>,
}

impl<'t> Seek<'t> {
    const NOTHING: Seek<'static> = Seek { page: &[], found: Err(0), count: 0, left: None, right: None };

    /// The entry of the key itself.
    #[inline]
    pub(crate) fn exact(&self) -> Option<Entry<'t>> {
        self.found.ok().map(|index| Entry::new(self.page, index))
    }

    /// The entry of the greatest key below.
    #[inline]
    pub(crate) fn before(&self) -> Option<Entry<'t>> {
        let (Ok(index) | Err(index)) = self.found;
        match index.checked_sub(1) {
            Some(index) => Some(Entry::new(self.page, index)),
            None => self.left.and_then(Child::last),
        }
    }

    /// The entry of the least key above.
    #[inline]
    pub(crate) fn after(&self) -> Option<Entry<'t>> {
        let index = match self.found {
            Ok(index) => index + 1,
            Err(index) => index,
        };
        if index < self.count { Some(Entry::new(self.page, index)) } else { self.right.and_then(Child::first) }
    }

    /// Looks up a key that is not above the one sought, in the same page where that can decide it.
    #[inline]
    pub(crate) fn get_before(&self, tree: &'t Tree, key: &[u8]) -> Option<Entry<'t>> {
        match Page::new(self.page).search(key) {
            Ok(index) => Some(Entry::new(self.page, index)),
            Err(0) => tree.get(key),
            Err(_) => None,
        }
    }
}

impl Child {
    fn first(&self) -> Option<Entry<'_>> {
        let mut child = self;
        loop {
            match child {
                Child::Leaf(page) => return Some(Entry::new(page, 0)),
                Child::Inner(inner) => child = inner.children.first()?,
            }
        }
    }

    fn last(&self) -> Option<Entry<'_>> {
        let mut child = self;
        loop {
            match child {
                Child::Leaf(page) => return Some(Entry::new(page, Page::new(page).count().checked_sub(1)?)),
                Child::Inner(inner) => child = inner.children.last()?,
            }
        }
    }

    fn first_key_into(&self, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Child::Leaf(page) => Page::new(page).key_into(0, out),
            Child::Inner(inner) => Page::new(&inner.first_keys).key_into(0, out),
        }
    }

    /// The memory of the child's own page or node, with the counts that an `Arc` keeps.
    fn own_bytes(&self) -> usize {
        const ARC: usize = 2 * size_of::<usize>();
        match self {
            Child::Leaf(page) => ARC + page.len(),
            Child::Inner(inner) => {
                ARC + size_of::<Inner>() + inner.first_keys.len() + inner.children.len() * size_of::<Child>()
            }
        }
    }
}

impl Inner {
    /// The child whose keys enclose `key`.
    #[inline]
    fn position(&self, key: &[u8]) -> usize {
        match Page::new(&self.first_keys).search(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    fn new(children: Vec<Child>, writer: &mut PageWriter) -> Inner {
        let mut key = Vec::new();
        for child in &children {
            child.first_key_into(&mut key);
            writer.push(&key, &[]);
        }
        Inner { first_keys: writer.finish_boxed(), children: children.into_boxed_slice() }
    }
}

impl Tree {
    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The heap memory of all pages and nodes, shared ones included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Finds where `key` stands.
    #[inline]
    pub(crate) fn seek(&self, key: &[u8]) -> Seek<'_> {
        let Some(mut child) = self.root.as_ref() else { return Seek::NOTHING };
        let (mut left, mut right) = (None, None);
        loop {
            match child {
                Child::Leaf(bytes) => {
                    let page = Page::new(bytes);
                    return Seek { page: bytes, found: page.search(key), count: page.count(), left, right };
                }
                Child::Inner(inner) => {
                    let index = inner.position(key);
                    left = index.checked_sub(1).and_then(|index| inner.children.get(index)).or(left);
                    right = inner.children.get(index + 1).or(right);
                    match inner.children.get(index) {
                        Some(next) => child = next,
                        None => return Seek::NOTHING,
                    }
                }
            }
        }
    }

    /// The entry of `key`.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<Entry<'_>> {
        let mut child = self.root.as_ref()?;
        loop {
            match child {
                Child::Leaf(bytes) => {
                    return Page::new(bytes).search(key).ok().map(|index| Entry::new(bytes, index));
                }
                Child::Inner(inner) => child = inner.children.get(inner.position(key))?,
            }
        }
    }

    /// The entry of the greatest key.
    pub(crate) fn last(&self) -> Option<Entry<'_>> {
        self.root.as_ref().and_then(Child::last)
    }

    /// Walks all entries in order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter { pages: self.pages(), page: &[], index: 0, count: 0 }
    }

    /// Walks the entries from the first that is not below `key`, in order.
    pub(crate) fn iter_from(&self, key: &[u8]) -> Iter<'_> {
        let mut stack = Vec::new();
        let mut next = self.root.as_ref();
        while let Some(child) = next {
            match child {
                Child::Leaf(bytes) => {
                    let page = Page::new(bytes);
                    let (Ok(index) | Err(index)) = page.search(key);
                    return Iter { pages: Pages { stack }, page: bytes, index, count: page.count() };
                }
                Child::Inner(inner) => {
                    let index = inner.position(key);
                    stack.extend(inner.children.iter().skip(index + 1).rev());
                    next = inner.children.get(index);
                }
            }
        }
        Iter { pages: Pages { stack }, page: &[], index: 0, count: 0 }
    }

    /// Walks the entries of one leaf page.
    pub(crate) fn iter_page(page: &[u8]) -> impl Iterator<Item = Entry<'_>> {
        (0..Page::new(page).count()).map(move |index| Entry::new(page, index))
    }

    /// Walks the leaf pages in order.
    pub(crate) fn pages(&self) -> Pages<'_> {
        Pages { stack: self.root.iter().collect() }
    }
}

/// Iterator over leaf pages; holds one node's children a level.
pub(crate) struct Pages<'t> {
    stack: Vec<&'t Child>,
}

impl<'t> Iterator for Pages<'t> {
    type Item = &'t Arc<[u8]>;

    fn next(&mut self) -> Option<&'t Arc<[u8]>> {
        loop {
            match self.stack.pop()? {
                Child::Leaf(page) => return Some(page),
                Child::Inner(inner) => self.stack.extend(inner.children.iter().rev()),
            }
        }
    }
}

/// Iterator over entries.
pub(crate) struct Iter<'t> {
    pages: Pages<'t>,
    page: &'t [u8],
    index: usize,
    count: usize,
}

impl<'t> Iterator for Iter<'t> {
    type Item = Entry<'t>;

    fn next(&mut self) -> Option<Entry<'t>> {
        while self.index == self.count {
            self.page = self.pages.next()?;
            self.index = 0;
            self.count = Page::new(self.page).count();
        }
        self.index += 1;
        Some(Entry::new(self.page, self.index - 1))
    }
}

/// Builds a tree from ascending keys, writing each page as soon as it is full.
#[derive(Default)]
pub(crate) struct TreeBuilder {
    writer: PageWriter,
    leaves: Vec<Child>,
    len: usize,
    bytes: usize,
}

impl TreeBuilder {
    /// Appends an entry. The key is above all that were pushed.
    #[inline]
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        if !self.writer.is_empty() && (self.writer.len_with(key, value) > PAGE_BYTES_TARGET || !self.writer.has_room())
        {
            self.close_page();
        }
        self.writer.push(key, value);
        self.len += 1;
    }

    /// Appends a whole page whose keys are all above those before.
    fn push_page(&mut self, page: Arc<[u8]>, count: usize) {
        let leaf = Child::Leaf(page);
        self.bytes += leaf.own_bytes();
        self.len += count;
        self.leaves.push(leaf);
    }

    /// The memory of the pages so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn close_page(&mut self) {
        let leaf = Child::Leaf(self.writer.finish());
        self.bytes += leaf.own_bytes();
        self.leaves.push(leaf);
    }

    pub(crate) fn finish(mut self) -> Tree {
        if !self.writer.is_empty() {
            self.close_page();
        }
        let mut bytes = self.bytes;
        let root = grow_levels(self.leaves, &mut self.writer, &mut bytes);
        Tree { root, len: self.len, bytes }
    }
}

/// Puts inner nodes above `children` until one is left; their memory is added to `bytes`.
fn grow_levels(mut children: Vec<Child>, writer: &mut PageWriter, bytes: &mut usize) -> Option<Child> {
    while children.len() > 1 {
        children = group(children, writer);
        *bytes += children.iter().map(Child::own_bytes).sum::<usize>();
    }
    children.pop()
}

/// Spreads `children` evenly over as few inner nodes as hold them.
fn group(children: Vec<Child>, writer: &mut PageWriter) -> Vec<Child> {
    let count = children.len();
    let groups = count.div_ceil(FANOUT_MAX);
    let mut children = children.into_iter();
    (0..groups)
        .map(|group| {
            let size = count * (group + 1) / groups - count * group / groups;
            Child::Inner(Arc::new(Inner::new(children.by_ref().take(size).collect(), writer)))
        })
        .collect()
}

/// Builds a tree from pages that were read from outside.
#[derive(Default)]
pub(crate) struct PageLoader {
    tree: TreeBuilder,
    last_key: Vec<u8>,
    key: Vec<u8>,
}

impl PageLoader {
    /// Checks a page and appends it; `entries` judges each key and value. False refuses the page: it is malformed, or
    /// not above the pages before.
    pub(crate) fn push(&mut self, bytes: &[u8], mut entries: impl FnMut(&[u8], &[u8]) -> bool) -> bool {
        let PageLoader { tree, last_key, key } = self;
        let first = tree.leaves.is_empty();
        let mut above = true;
        let mut at_start = true;
        let page = Page::validate(bytes, |page, index, value| {
            key.clear();
            page.key_into(index, key);
            if at_start {
                at_start = false;
                above = first || *last_key < *key;
            }
            entries(key, value)
        });
        let Some(page) = page.filter(|_| above) else { return false };
        last_key.clear();
        page.key_into(page.count() - 1, last_key);
        tree.push_page(Arc::from(bytes), page.count());
        true
    }

    pub(crate) fn finish(self) -> Tree {
        self.tree.finish()
    }
}

#[cfg(test)]
mod tests;
