//! The nodes that a copy came through on its way from the origin, as they tell it each other: a node that finds itself
//! among them would take its own copy for news.
//!
//! ```text
//! OPTION-CODE   u16 = 65313 (of the codes for local use, RFC 6891 §9)
//! OPTION-LENGTH u16
//! version       u8  = 1; an option of another version, or a malformed one, is passed over as if it were not there
//! flags         u8  bit 0: what came before the first node is not known; the others are 0 and ignored
//! node*             length u8 (1..=63) | name; from the origin's side on, the sender last; at most 16
//! ```
//!
//! A question has the option with nothing behind the version: "tell me". Only nodes of the network are asked, and what
//! they answer is signed.

use std::fmt;
use std::sync::{Arc, LazyLock};

use wire::{Message, Section, edns::Edns};

/// The option's code.
pub(crate) const OPTION: u16 = 65_313;
/// What a question says in the option.
pub(crate) const QUESTION: &[u8] = &[VERSION];
/// Nodes that a copy may come through. No tree that makes sense is so deep.
pub(crate) const NODES_MAX: usize = 16;
/// The part of a node's name that counts.
const NAME_BYTES_MAX: usize = 63;

const VERSION: u8 = 1;
const FLAG_UNKNOWN: u8 = 1;

/// The way of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    nodes: Vec<Box<str>>,
    /// Whether the first of the nodes had it from an origin. After a start nobody knows, until the first contact.
    whole: bool,
}

impl Path {
    /// The way of a copy straight from an origin.
    pub(crate) fn from_origin() -> Arc<Path> {
        static FROM_ORIGIN: LazyLock<Arc<Path>> = LazyLock::new(|| Arc::new(Path { nodes: Vec::new(), whole: true }));
        Arc::clone(&FROM_ORIGIN)
    }

    /// The way of a copy of which nothing is known but the node that it came from.
    pub(crate) fn known_from(node: &str) -> Path {
        Path { nodes: vec![short(node).into()], whole: false }
    }

    /// Whether a node is on the way.
    pub(crate) fn has(&self, node: &str) -> bool {
        self.nodes.iter().any(|name| **name == *short(node))
    }

    /// Whether no further node has room in it.
    pub(crate) fn is_full(&self) -> bool {
        self.nodes.len() >= NODES_MAX
    }

    /// The option's data for an answer by `node`.
    pub(crate) fn to_option(&self, node: &str) -> Vec<u8> {
        let mut data = vec![VERSION, if self.whole { 0 } else { FLAG_UNKNOWN }];
        for name in self.nodes.iter().map(|name| &**name).chain([short(node)]) {
            data.push(u8::try_from(name.len()).unwrap_or(0));
            data.extend_from_slice(name.as_bytes());
        }
        data
    }

    /// Reads an option's data; `None` for what is malformed.
    pub(crate) fn from_option(data: &[u8]) -> Option<Path> {
        let (&[version, flags], mut rest) = data.split_first_chunk::<2>()?;
        if version != VERSION {
            return None;
        }
        let mut nodes = Vec::new();
        while let Some((&length, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(usize::from(length))?;
            if name.is_empty() || name.len() > NAME_BYTES_MAX || nodes.len() > NODES_MAX {
                return None;
            }
            nodes.push(std::str::from_utf8(name).ok()?.into());
            rest = after;
        }
        (!nodes.is_empty()).then_some(Path { nodes, whole: flags & FLAG_UNKNOWN == 0 })
    }

    /// Reads the path out of an answer by `node`.
    pub(crate) fn of_answer(message: &Message<'_>, node: &str) -> Path {
        let option = message.records().flatten().find_map(|record| {
            let is_opt = record.section == Section::Additional && record.rtype == wire::Rtype::OPT;
            let edns = Edns::from_record(record.class.0, record.ttl, record.rdata()).ok().filter(|_| is_opt)?;
            Path::from_option(edns.option(OPTION)?)
        });
        option.unwrap_or_else(|| Path::known_from(node))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.whole { "origin" } else { "?" })?;
        self.nodes.iter().try_for_each(|node| write!(f, " > {}", node.escape_default()))
    }
}

/// The part of a name that counts; names are ASCII in the configuration.
fn short(name: &str) -> &str {
    name.get(..NAME_BYTES_MAX).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_node_by_node() {
        let first = Path::from_option(&Path::from_origin().to_option("ams-1")).unwrap();
        assert_eq!(first.to_string(), "origin > ams-1");
        let second = Path::from_option(&first.to_option("fra-1")).unwrap();
        assert_eq!(second.to_string(), "origin > ams-1 > fra-1");
        assert!(second.has("ams-1") && second.has("fra-1") && !second.has("fra") && !second.is_full());
        assert_eq!(second.to_option("x"), b"\x01\0\x05ams-1\x05fra-1\x01x");
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let path = Path::from_option(&Path::default().to_option("a")).unwrap();
        assert_eq!(path.to_string(), "? > a");
        assert_eq!(path, Path::known_from("a"));
        let further = Path::from_option(&path.to_option("b")).unwrap();
        assert_eq!(further.to_string(), "? > a > b");
    }

    #[test]
    fn only_so_many_nodes() {
        let mut path = Path::clone(&Path::from_origin());
        for number in 0..NODES_MAX {
            assert!(!path.is_full());
            path = Path::from_option(&path.to_option(&format!("n{number}"))).unwrap();
        }
        assert!(path.is_full());
        let one_more = Path::from_option(&path.to_option("last")).unwrap();
        assert!(one_more.is_full());
        assert_eq!(Path::from_option(&one_more.to_option("beyond")), None);
    }

    #[test]
    fn malformed_options_are_none() {
        for data in [&b""[..], b"\x01", b"\x01\0", b"\x02\0\x01a", b"\x01\0\x02a", b"\x01\0\0", b"\x01\0\x01\xff"] {
            assert_eq!(Path::from_option(data), None, "{data:?}");
        }
        let long = [&b"\x01\0\x40"[..], &[b'a'; 64]].concat();
        assert_eq!(Path::from_option(&long), None);
        let name = "n".repeat(100);
        assert!(Path::from_option(&Path::from_origin().to_option(&name)).unwrap().has(&name));
    }
}
