//! Whose an address is. No I/O: what the kernel says and what the record says come in.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// The mark of the addresses that a keeper puts on `lo` (the kernel's IFA_PROTO, since Linux 5.18): of the numbers that
/// nobody has been given. The record may be out of date, and is written by a process without rights; only an address that
/// has the mark too is ever taken away.
pub(super) const MARK: u8 = 0xb5;

/// An address that an interface of this machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) address: IpAddr,
    pub(super) prefix_bits: u8,
    /// Its index.
    pub(super) interface: u32,
    /// Who put it there; none if the kernel does not say.
    pub(super) mark: Option<u8>,
}

/// How an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No interface has it.
    Missing,
    /// It is on `lo`, and we or a run before us put it there.
    Ours,
    /// Somebody else put it where it is, on the interface with this index.
    Foreign(u32),
}

/// How `address` is, when those in `recorded` were put on the interface `lo` by us.
pub(super) fn standing(address: IpAddr, present: &[Present], recorded: &BTreeSet<IpAddr>, lo: u32) -> Standing {
    // The kernel itself marks 127.0.0.1, so it is seen whether it knows marks.
    let with_marks = present.iter().any(|present| present.mark.is_some());
    let is_ours = |present: &Present| {
        recorded.contains(&address)
            && present.interface == lo
            && present.prefix_bits == host_bits(address)
            && (!with_marks || present.mark == Some(MARK))
    };
    let mut found = present.iter().filter(|present| present.address == address).peekable();
    let Some(first) = found.peek().map(|present| present.interface) else { return Standing::Missing };
    if found.any(is_ours) { Standing::Ours } else { Standing::Foreign(first) }
}

/// The length of the prefix that is one address.
pub(super) fn host_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LO: u32 = 1;

    fn present(address: &str, prefix_bits: u8, interface: u32, mark: Option<u8>) -> Present {
        Present { address: address.parse().expect("an address"), prefix_bits, interface, mark }
    }

    #[test]
    fn ours_is_what_record_and_kernel_agree_on() {
        let kernel = present("127.0.0.1", 8, LO, Some(1));
        let v4: IpAddr = "192.0.2.53".parse().expect("an address");
        let v6: IpAddr = "2001:db8::53".parse().expect("an address");
        let recorded = BTreeSet::from([v4, v6]);
        let cases = [
            (v4, vec![], Standing::Missing),
            (v4, vec![present("192.0.2.53", 32, LO, Some(MARK))], Standing::Ours),
            (v6, vec![present("2001:db8::53", 128, LO, Some(MARK))], Standing::Ours),
            // The record says so, but it was put there again by somebody else: there has been a reboot, say.
            (v4, vec![present("192.0.2.53", 32, LO, None)], Standing::Foreign(LO)),
            (v4, vec![present("192.0.2.53", 24, LO, Some(MARK))], Standing::Foreign(LO)),
            (v6, vec![present("2001:db8::53", 64, 7, None)], Standing::Foreign(7)),
            (v4, vec![present("192.0.2.53", 24, 7, None), present("192.0.2.53", 32, LO, Some(MARK))], Standing::Ours),
        ];
        for (address, mut found, expected) in cases {
            found.push(kernel.clone());
            assert_eq!(standing(address, &found, &recorded, LO), expected, "{found:?}");
        }
        // Another keeper's.
        let other = [kernel, present("192.0.2.53", 32, LO, Some(MARK))];
        assert_eq!(standing(v4, &other, &BTreeSet::new(), LO), Standing::Foreign(LO));
        // A kernel without marks: the record alone says it.
        let old = [present("127.0.0.1", 8, LO, None), present("192.0.2.53", 32, LO, None)];
        assert_eq!(standing(v4, &old, &recorded, LO), Standing::Ours);
    }
}
