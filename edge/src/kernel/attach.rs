//! Brings the program to the interfaces: natively, in generic mode, or not at all, always with the reason.

use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, PinnedLink},
    loaded_programs,
    xdp::XdpLink,
};
use nix::net::if_::if_nametoindex;

use super::{
    AttachMode, InterfaceStatus,
    attached::{Attached, attached},
    pins::Pins,
};

/// Brings the program to an interface, where it stays as long as the link is open, or pinned. A link that the daemon before left gets this
/// program in the place of its own, without a packet that would see neither.
pub(super) fn attach(program: &mut Xdp, interface: &str, pins: Option<&Pins>) -> (InterfaceStatus, Option<FdLink>) {
    let status = |mode, why, taken_over| InterfaceStatus { name: interface.to_owned(), mode, why, taken_over };
    let found = match attached(interface) {
        Ok(found) => found,
        Err(why) => return (status(None, Some(format!("it cannot be looked at: {why}")), false), None),
    };
    if let Some(pins) = pins
        && let Some((mode, link)) = take_over(program, interface, pins, found)
    {
        return (status(Some(mode), None, true), Some(link));
    }
    if let Some(Attached { program, .. }) = found {
        return (status(None, Some(in_the_way(interface, program)), false), None);
    }
    let (native, native_why) = match attach_by(program, interface, XdpMode::Driver) {
        Ok(link) => (Some(link), None),
        Err(why) => (None, Some(why)),
    };
    let (mode, link, why) = match (native, native_why) {
        (Some(link), _) => (AttachMode::Native, link, None),
        (None, native_why) => {
            let native_why = native_why.unwrap_or_default();
            match attach_by(program, interface, XdpMode::Skb) {
                Ok(link) => (AttachMode::Generic, link, Some(format!("not natively: {native_why}"))),
                Err(why) => {
                    let why = format!("not natively: {native_why}; not in generic mode: {why}");
                    return (status(None, Some(why), false), None);
                }
            }
        }
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
