//! The tree against a `BTreeMap`.

use std::collections::BTreeMap;

use super::page::common_len;
use super::*;
use crate::testing::Random;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn build(model: &Model) -> Tree {
    let mut builder = TreeBuilder::default();
    for (key, value) in model {
        builder.push(key, value);
    }
    builder.finish()
}

fn key_of(entry: Option<Entry<'_>>) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    entry?.key_into(&mut key);
    Some(key)
}

fn random_key(random: &mut Random) -> Vec<u8> {
    // Few distinct bytes and shared beginnings make long prefixes, ties of heads and zeros at the end.
    let mut key = match random.below(3) {
        0 => Vec::new(),
        1 => b"common-prefix".to_vec(),
        _ => b"common-prefix-that-is-longer".to_vec(),
    };
    let len = random.below(12);
    key.extend((0..len).map(|_| [0, 0, 1, b'a', b'b', 0xff][random.below(6)]));
    key
}

fn random_value(random: &mut Random) -> Vec<u8> {
    let len = if random.below(50) == 0 { 5000 } else { random.below(40) };
    vec![random.below(256) as u8; len]
}

fn check_same(tree: &Tree, model: &Model, random: &mut Random) {
    assert_eq!(tree.len(), model.len());
    let mut key = Vec::new();
    let mut walked = Vec::new();
    for entry in tree.iter() {
        entry.key_into(&mut key);
        walked.push((key.clone(), entry.value().to_vec()));
    }
    assert!(walked.iter().map(|(k, v)| (k, v)).eq(model.iter()));
    for _ in 0..200 {
        let probe = random_key(random);
        let seek = tree.seek(&probe);
        assert_eq!(seek.exact().map(|e| e.value().to_vec()), model.get(&probe).cloned());
        assert_eq!(tree.get(&probe).map(|e| e.value().to_vec()), model.get(&probe).cloned());
        assert_eq!(key_of(seek.before()), model.range(..probe.clone()).next_back().map(|(k, _)| k.clone()));
        let above = model.range(probe.clone()..).find(|(k, _)| **k != probe).map(|(k, _)| k.clone());
        assert_eq!(key_of(seek.after()), above);
        if let Some(before) = seek.before() {
            let key = key_of(Some(before)).unwrap();
            assert_eq!(before.common_len(&probe), common_len(&key, &probe));
        }
        let lower = random_key(random);
        if lower <= probe {
            assert_eq!(seek.get_before(tree, &lower).map(|e| e.value().to_vec()), model.get(&lower).cloned());
        }
    }
    assert_eq!(key_of(tree.last()), model.last_key_value().map(|(k, _)| k.clone()));
    let counted: usize = tree.root.as_ref().map_or(0, counted_bytes);
    assert_eq!(tree.bytes(), counted);
}

fn counted_bytes(child: &Child) -> usize {
    let below: usize = match child {
        Child::Leaf(_) => 0,
        Child::Inner(inner) => inner.children.iter().map(counted_bytes).sum(),
    };
    child.own_bytes() + below
}

#[test]
fn built_and_edited_trees_equal_the_model() {
    let mut random = Random::new(7);
    for size in [0, 1, 2, 10, 300, 3000, 20_000] {
        let mut model: Model = (0..size).map(|_| (random_key(&mut random), random_value(&mut random))).collect();
        let mut tree = build(&model);
        check_same(&tree, &model, &mut random);
        for round in 0..12 {
            let edits: BTreeMap<Vec<u8>, Option<Vec<u8>>> = (0..[1, 5, 400][round % 3])
                .map(|_| {
                    let value = (random.below(2) == 0).then(|| random_value(&mut random));
                    let present = model.keys().nth(random.below(model.len().clamp(1, 500))).cloned();
                    let key = if random.below(2) == 0 { present } else { None };
                    (key.unwrap_or_else(|| random_key(&mut random)), value)
                })
                .collect();
            let before = model.clone();
            let old = tree.clone();
            let list: Vec<Edit<'_>> = edits.iter().map(|(key, value)| Edit { key, value: value.as_deref() }).collect();
            tree = tree.edit(&list);
            for (key, value) in edits {
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            check_same(&tree, &model, &mut random);
            check_same(&old, &before, &mut random);
        }
    }
}

#[test]
fn everything_can_be_removed_and_inserted_at_once() {
    let model: Model = (0..50_000u32).map(|i| (i.to_be_bytes().to_vec(), vec![1; 20])).collect();
    let all: Vec<Edit<'_>> = model.iter().map(|(key, value)| Edit { key, value: Some(value) }).collect();
    let tree = Tree::default().edit(&all);
    check_same(&tree, &model, &mut Random::new(1));
    let none: Vec<Edit<'_>> = model.keys().map(|key| Edit { key, value: None }).collect();
    let empty = tree.edit(&none);
    assert_eq!((empty.len(), empty.bytes()), (0, 0));
    assert!(empty.root.is_none());
}

#[test]
fn an_edit_shares_all_other_pages() {
    let model: Model = (0..50_000u32).map(|i| (i.to_be_bytes().to_vec(), vec![1; 20])).collect();
    let tree = build(&model);
    let edited = tree.edit(&[Edit { key: &777u32.to_be_bytes(), value: Some(b"new") }]);
    let before: Vec<_> = tree.pages().map(|page| page.as_ptr()).collect();
    let shared = edited.pages().filter(|page| before.contains(&page.as_ptr())).count();
    assert_eq!(shared, before.len() - 1);
}

/// However high the trees are and however they came about.
#[test]
fn pages_that_are_not_shared_are_found() {
    let all: Vec<[u8; 4]> = (0..60_000u32).map(u32::to_be_bytes).collect();
    let edit = |tree: &Tree, from: usize, to: usize, value: Option<&[u8]>| {
        tree.edit(&all[from..to].iter().map(|key| Edit { key, value }).collect::<Vec<_>>())
    };
    let mut trees = vec![Tree::default()];
    let mut random = Random::new(6);
    for _ in 0..60 {
        let at = random.below(all.len());
        let len = [1, 10, 3000, 60_000][random.below(4)];
        let old = &trees[random.below(trees.len())];
        let to = (at + len).min(all.len());
        trees.push(edit(old, at, to, (random.below(3) > 0).then_some(b"a value of some bytes")));
    }
    for new in &trees {
        for old in &trees {
            let known: std::collections::HashSet<_> = old.pages().map(|page| page.as_ptr()).collect();
            let mut expected: Vec<_> = new.pages().map(|page| page.as_ptr()).collect();
            expected.retain(|page| !known.contains(page));
            let mut found: Vec<_> = new.pages_not_in(old).iter().map(|page| page.as_ptr()).collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn many_single_inserts_keep_pages_filled() {
    let mut tree = Tree::default();
    let mut random = Random::new(3);
    let mut model = Model::new();
    for _ in 0..5000 {
        let key = (random.next() as u32).to_be_bytes();
        model.insert(key.to_vec(), b"0123456789".to_vec());
        tree = tree.edit(&[Edit { key: &key, value: Some(b"0123456789") }]);
    }
    check_same(&tree, &model, &mut random);
    assert!(tree.bytes() < 5000 * 48, "{} bytes", tree.bytes());
}

#[test]
fn pages_survive_loading_and_mutations_never_panic() {
    let mut random = Random::new(11);
    let model: Model = (0..2000).map(|_| (random_key(&mut random), random_value(&mut random))).collect();
    let tree = build(&model);
    let mut loader = PageLoader::default();
    for page in tree.pages() {
        assert!(loader.push(page, |_, _| true));
    }
    let loaded = loader.finish();
    check_same(&loaded, &model, &mut random);
    let first = tree.pages().next().unwrap();
    for _ in 0..20_000 {
        let mut bytes = first.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len().min(600));
            bytes[at] = random.next() as u8;
        }
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        let mut loader = PageLoader::default();
        loader.push(&bytes, |_, _| true);
        // Unvalidated pages may answer nonsense, but they answer.
        let page = Page::new(&bytes);
        let probe = random_key(&mut random);
        let (Ok(index) | Err(index)) = page.search(&probe);
        page.common_len(index, &probe);
        page.key_into(index, &mut Vec::new());
        let _ = page.value(index);
    }
}

#[test]
fn wide_pages_hold_one_huge_value() {
    let model: Model = (0..10u8).map(|i| (vec![i], vec![i; 200_000])).collect();
    let tree = build(&model);
    check_same(&tree, &model, &mut Random::new(2));
    let grown = tree.edit(&[Edit { key: &[3, 1], value: Some(&[9; 90_000]) }]);
    assert_eq!(grown.get(&[3, 1]).map(|e| e.value().len()), Some(90_000));
    assert_eq!(grown.len(), 11);
}
