//! What an interface is, and which XDP program it has: asked of the kernel by netlink (RTM_GETLINK), since bpf() tells only of
//! programs.

use std::{
    io::{self, Read as _, Write as _},
    time::Duration,
};

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

/// Longest answer about one interface, and how long it may take.
const ANSWER_BYTES_MAX: usize = 32 << 10;
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
/// `struct nlmsghdr`, `struct ifinfomsg`, `struct nlattr`, and how all of them are aligned.
const HEADER_BYTES: usize = 16;
const LINK_BYTES: usize = 16;
const ATTRIBUTE_BYTES: usize = 4;
const ALIGNED_TO: usize = 4;
/// `IFLA_LINKINFO`, and within it what kind of interface it is, and how that kind is called.
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const VETH: &[u8] = b"veth";
/// `IFLA_XDP`, and within it: how a program is attached, and which one by which way.
const IFLA_XDP: u16 = 43;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
/// The bits of an attribute's type that are its type.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// It is one end of a virtual wire (veth).
    pub(super) is_veth: bool,
    /// The XDP program that it has.
    pub(super) attached: Option<Attached>,
}

/// A program that an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    /// Its number in the kernel.
    pub(super) program: u32,
    /// The network stack runs it, not the driver.
    pub(super) is_generic: bool,
}

/// Looks at an interface.
pub(super) fn link(interface: &str) -> io::Result<Link> {
    let index = if_nametoindex(interface)?;
    let protocol = Protocol::from(libc::NETLINK_ROUTE);
    let mut socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(protocol))?;
    socket.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
    socket.write_all(&question(index))?;
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    let bytes = socket.read(&mut answer)?;
    read(answer.get(..bytes).unwrap_or_default())
}

fn question(index: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES + LINK_BYTES);
    message.extend(((HEADER_BYTES + LINK_BYTES) as u32).to_ne_bytes());
    message.extend(libc::RTM_GETLINK.to_ne_bytes());
    message.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    // Sequence number and port; then family, type and the index.
    message.extend([0; 8 + 4]);
    message.extend(index.to_ne_bytes());
    message.resize(HEADER_BYTES + LINK_BYTES, 0);
    message
}

fn read(answer: &[u8]) -> io::Result<Link> {
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    if kind != Some(libc::RTM_NEWLINK) {
        let code = answer.get(HEADER_BYTES..HEADER_BYTES + 4).and_then(|code| code.try_into().ok());
        let why = code.map_or(libc::EPROTO, |code| i32::from_ne_bytes(code).saturating_neg());
        return Err(io::Error::from_raw_os_error(why));
    }
    let attributes = answer.get(HEADER_BYTES + LINK_BYTES..).unwrap_or_default();
    let kind = attribute(attributes, IFLA_LINKINFO).and_then(|info| attribute(info, IFLA_INFO_KIND));
    let is_veth = kind.is_some_and(|kind| kind.strip_suffix(&[0]).unwrap_or(kind) == VETH);
    let Some(xdp) = attribute(attributes, IFLA_XDP) else { return Ok(Link { is_veth, attached: None }) };
    let program = |kind| {
        let id = attribute(xdp, kind)?.try_into().ok().map(u32::from_ne_bytes)?;
        (id != 0).then_some(id)
    };
    let by_driver = program(IFLA_XDP_DRV_PROG_ID).map(|program| Attached { program, is_generic: false });
    let generic = || program(IFLA_XDP_SKB_PROG_ID).map(|program| Attached { program, is_generic: true });
    Ok(Link { is_veth, attached: by_driver.or_else(generic) })
}

/// What the first attribute of this type holds.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (header, _) = attributes.split_at_checked(ATTRIBUTE_BYTES)?;
        let bytes = usize::from(u16::from_ne_bytes(header.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(header.get(2..)?.try_into().ok()?) & NLA_TYPE_MASK;
        let value = attributes.get(ATTRIBUTE_BYTES..bytes)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(bytes.next_multiple_of(ALIGNED_TO)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((ATTRIBUTE_BYTES + value.len()) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(ALIGNED_TO), 0);
        bytes
    }

    fn answer(kind: &[u8], xdp: &[Vec<u8>]) -> Vec<u8> {
        let mut message = question(1);
        message[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
        message.extend(with(3, b"eth0\0"));
        message.extend(with(IFLA_LINKINFO, &with(IFLA_INFO_KIND, kind)));
        message.extend(with(IFLA_XDP | 1 << 15, &xdp.concat()));
        message
    }

    #[test]
    fn the_program_of_an_interface_is_read() {
        let native = answer(b"veth\0", &[with(2, &[1]), with(4, &7u32.to_ne_bytes()), with(5, &7u32.to_ne_bytes())]);
        let attached = Some(Attached { program: 7, is_generic: false });
        assert_eq!(read(&native).unwrap(), Link { is_veth: true, attached });
        let generic = answer(b"vlan\0", &[with(2, &[2]), with(6, &8u32.to_ne_bytes())]);
        let attached = Some(Attached { program: 8, is_generic: true });
        assert_eq!(read(&generic).unwrap(), Link { is_veth: false, attached });
        assert_eq!(read(&answer(b"vethx\0", &[with(2, &[0])])).unwrap(), Link { is_veth: false, attached: None });
        for bytes in 0..native.len() {
            let _ = read(&native[..bytes]);
        }
    }

    #[test]
    fn lo_is_asked_for_and_nobody_is_not_found() {
        assert!(!link("lo").unwrap().is_veth);
        assert!(link("no such").is_err());
    }
}
