//! Brings the program to the interfaces: natively, in generic mode, or not at all, always with the reason.

use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, PinnedLink},
    loaded_programs,
    xdp::XdpLink,
};
use config::KernelAttach;
use nix::net::if_::if_nametoindex;

use super::{
    AttachMode, InterfaceStatus,
    attached::{Attached, Link, link},
    pins::Pins,
};

/// Why a virtual wire is not taken natively where nobody has asked for it.
const VETH_WHY: &str = "over a virtual wire (veth) what is sent so is lost unless its other end has an XDP program or GRO on \
                        (`lanes.kernel_attach = \"native\"` if it has)";

/// Brings the program to an interface, where it stays as long as the link is open, or pinned. A link that the daemon before
/// left gets this program in the place of its own, without a packet that would see neither; it stays attached as it was.
pub(super) fn attach(
    program: &mut Xdp,
    interface: &str,
    way: KernelAttach,
    pins: Option<&Pins>,
) -> (InterfaceStatus, Option<FdLink>) {
    let status = |mode, why, taken_over| InterfaceStatus { name: interface.to_owned(), mode, why, taken_over };
    let Link { is_veth, attached } = match link(interface) {
        Ok(found) => found,
        Err(why) => return (status(None, Some(format!("it cannot be looked at: {why}")), false), None),
    };
    if let Some(pins) = pins
        && let Some((mode, link)) = take_over(program, interface, pins, attached)
    {
        return (status(Some(mode), None, true), Some(link));
    }
    if let Some(Attached { program, .. }) = attached {
        return (status(None, Some(in_the_way(interface, program)), false), None);
    }
    let (mode, link, why) = match attach_in_turn(program, interface, way, is_veth) {
        Ok(attached) => attached,
        Err(why) => return (status(None, Some(why), false), None),
    };
    let link = match pins {
        None => link,
        Some(pins) => match link.pin(pins.link(interface)) {
            Ok(link) => link.into(),
            Err(why) => {
                let why = format!("it cannot be pinned, and so not be kept: {why}");
                return (status(None, Some(why), false), None);
            }
        },
    };
    (status(Some(mode), why, false), Some(link))
}

/// Natively, or in generic mode and why.
fn attach_in_turn(
    program: &mut Xdp,
    interface: &str,
    way: KernelAttach,
    is_veth: bool,
) -> Result<(AttachMode, FdLink, Option<String>), String> {
    let not_natively = match way {
        KernelAttach::Generic => None,
        KernelAttach::Auto if is_veth => Some(VETH_WHY.to_owned()),
        KernelAttach::Auto | KernelAttach::Native => match attach_by(program, interface, XdpMode::Driver) {
            Ok(link) => return Ok((AttachMode::Native, link, None)),
            Err(why) => Some(why),
        },
    };
    let why = not_natively.map(|why| format!("not natively: {why}"));
    if way == KernelAttach::Native {
        return Err(why.unwrap_or_default());
    }
    match attach_by(program, interface, XdpMode::Skb) {
        Ok(link) => Ok((AttachMode::Generic, link, why)),
        Err(generic) => {
            let native = why.map_or_else(String::new, |why| why + "; ");
            Err(format!("{native}not in generic mode: {generic}"))
        }
    }
}

/// The link that was left on this interface, if it is the one that the interface has.
fn take_over(program: &mut Xdp, interface: &str, pins: &Pins, found: Option<Attached>) -> Option<(AttachMode, FdLink)> {
    let link = PinnedLink::from_pin(pins.link(interface)).ok()?;
    let link = FdLink::from(link);
    let found = found.filter(|found| link.info().is_ok_and(|info| info.program_id() == found.program));
    let Some(Attached { is_generic, .. }) = found else {
        // Of an interface of this name that is no more.
        pins.forget_link(interface);
        return None;
    };
    match replace(program, link) {
        Ok(link) => Some((if is_generic { AttachMode::Generic } else { AttachMode::Native }, link)),
        Err(why) => {
            tracing::warn!(interface, %why, "the program that was left cannot be replaced, and is taken away");
            pins.forget_link(interface);
            None
        }
    }
}

fn replace(program: &mut Xdp, link: FdLink) -> Result<FdLink, ProgramError> {
    let link = XdpLink::try_from(link).map_err(|_| ProgramError::NotAttached)?;
    let replaced = program.attach_to_link(link)?;
    FdLink::try_from(program.take_link(replaced)?).map_err(|_| ProgramError::NotAttached)
}

fn attach_by(program: &mut Xdp, interface: &str, mode: XdpMode) -> Result<FdLink, String> {
    let index = if_nametoindex(interface).map_err(|why| why.to_string())?;
    let link = program.attach_to_if_index(index, mode).map_err(reason)?;
    let link = program.take_link(link).map_err(reason)?;
    // What is no link of its own would stay when the process dies.
    FdLink::try_from(link).map_err(|_| "the kernel has no links for XDP (Linux 5.9 has)".to_owned())
}

/// What the system said, without what it was asked.
fn reason(why: ProgramError) -> String {
    match why {
        ProgramError::SyscallError(why) => why.io_error.to_string(),
        why => std::error::Error::source(&why).map_or_else(|| why.to_string(), ToString::to_string),
    }
}

fn in_the_way(interface: &str, program: u32) -> String {
    let loaded = loaded_programs().filter_map(Result::ok).find(|info| info.id() == program);
    let name = loaded.and_then(|info| info.name_as_str().map(|name| format!(" ({name})"))).unwrap_or_default();
    format!(
        "another XDP program is on it, number {program}{name}: take it away (`ip link set dev {interface} xdp off`, or end \
         who put it there), or leave the interface out of `lanes.interfaces`"
    )
}
