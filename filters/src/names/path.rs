//! The labels of a name from the apex of its zone down.

use wire::NameRef;

use super::suffix::DEPTH_MAX;

/// Where the labels next to the apex begin in a name: the last [`DEPTH_MAX`] before it.
#[derive(Debug)]
pub(crate) struct Path<'n> {
    name: NameRef<'n>,
    apex_at: usize,
    /// A ring: label `n` from the left stands at `n` modulo its size.
    starts: [u8; DEPTH_MAX],
    labels: usize,
}

impl<'n> Path<'n> {
    /// Costs a step for each label, 127 at most.
    pub(crate) fn new(name: NameRef<'n>, apex: NameRef<'_>) -> Path<'n> {
        let apex_at = name.as_bytes().len().saturating_sub(apex.as_bytes().len());
        let (mut starts, mut labels, mut at) = ([0; DEPTH_MAX], 0, 0);
        while at < apex_at {
            if let Some(start) = starts.get_mut(labels % DEPTH_MAX) {
                *start = at as u8;
            }
            labels += 1;
            at += 1 + usize::from(name.as_bytes().get(at).copied().unwrap_or_default());
        }
        Path { name, apex_at, starts, labels }
    }

    fn start(&self, depth: usize) -> Option<usize> {
        let from_left = self.labels.checked_sub(depth + 1).filter(|_| depth < DEPTH_MAX)?;
        self.starts.get(from_left % DEPTH_MAX).map(|start| usize::from(*start))
    }

    /// The label that stands `depth` labels above the one next to the apex, with its length octet.
    pub(crate) fn label(&self, depth: usize) -> Option<&'n [u8]> {
        let start = self.start(depth)?;
        let end = match depth.checked_sub(1) {
            Some(next) => self.start(next)?,
            None => self.apex_at,
        };
        self.name.as_bytes().get(start..end)
    }

    /// The name's end that has `depth` labels more than the apex.
    pub(crate) fn suffix(&self, depth: usize) -> &'n [u8] {
        let start = depth.checked_sub(1).and_then(|depth| self.start(depth)).unwrap_or(self.apex_at);
        self.name.as_bytes().get(start..).unwrap_or(&[0])
    }
}

#[cfg(test)]
mod tests {
    use wire::Name;

    use super::*;

    #[test]
    fn labels_come_from_the_apex_down() {
        let (name, apex): (Name, Name) = ("a.b.c.example.com".parse().unwrap(), "example.com".parse().unwrap());
        let path = Path::new(name.as_ref(), apex.as_ref());
        assert_eq!([0, 1, 2].map(|depth| path.label(depth).unwrap()), [b"\x01c", b"\x01b", b"\x01a"]);
        assert_eq!(path.label(3), None);
        assert_eq!(path.suffix(0), apex.as_bytes());
        assert_eq!(path.suffix(2), b"\x01b\x01c\x07example\x03com\x00");
    }

    #[test]
    fn only_so_many_labels_are_kept() {
        let name: Name = "12.11.10.9.8.7.6.5.4.3.2.1.test".parse().unwrap();
        let apex: Name = "test".parse().unwrap();
        let path = Path::new(name.as_ref(), apex.as_ref());
        assert_eq!(path.label(7), Some(&b"\x018"[..]));
        assert_eq!(path.label(8), None);
        assert_eq!(path.suffix(8), b"\x018\x017\x016\x015\x014\x013\x012\x011\x04test\x00");
    }

    #[test]
    fn the_apex_itself_has_no_labels_below_it() {
        let apex: Name = "example.com".parse().unwrap();
        assert_eq!(Path::new(apex.as_ref(), apex.as_ref()).label(0), None);
        assert_eq!(Path::new(NameRef::ROOT, apex.as_ref()).label(0), None);
        assert_eq!(Path::new(apex.as_ref(), NameRef::ROOT).label(1), Some(&b"\x07example"[..]));
    }
}
