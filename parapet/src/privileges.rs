//! Giving up what is needed no more once the sockets are bound.
//!
//! No role needs a capability after that: the sockets stay open, and what is bound again needs a restart; what must be done
//! later is done by a process of its own with one capability (see `address_keeper`). So all sets
//! are emptied, the bounding set too, and `no_new_privs` keeps it that way. This must happen before any thread starts,
//! since capabilities belong to threads and are inherited by those that come later.

use std::ffi::CString;

use caps::{CapSet, Capability};
use nix::sys::prctl::{set_keepcaps, set_no_new_privs};
use nix::unistd::{User, geteuid, getuid, initgroups, setgid, setuid};

use crate::failure::Failure;

/// The user to become, if the configuration names one and we are not that one yet.
pub(crate) fn find_user(name: Option<&str>) -> Result<Option<User>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let user = User::from_name(name)
        .map_err(|why| Failure::Runtime(format!("cannot look up the user {name:?}: {why}")))?
        .ok_or_else(|| {
            Failure::Configuration(format!(
                "there is no user {name:?}: create it (`useradd --system {name}`) or name another"
            ))
        })?;
    if getuid() == user.uid && geteuid() == user.uid {
        return Ok(None);
    }
    if !geteuid().is_root() {
        return Err(Failure::Runtime(format!(
            "cannot become the user {name:?}: start as root, or as {name:?} itself, or without a user"
        )));
    }
    Ok(Some(user))
}

/// Whom the process becomes, and in which group.
pub(crate) fn ids(user: &User) -> (u32, u32) {
    (user.uid.as_raw(), user.gid.as_raw())
}

/// Becomes the user, if there is one, and gives up every capability.
pub(crate) fn give_up(user: Option<&User>) -> Result<(), Failure> {
    clear_bounding_set()?;
    if let Some(user) = user {
        become_user(user).map_err(|why| Failure::Runtime(format!("cannot become the user {:?}: {why}", user.name)))?;
    }
    // Ambient capabilities must be subsets of the others, so they go first.
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(|why| Failure::Runtime(format!("cannot give up capabilities: {why}")))?;
    }
    set_no_new_privs().map_err(|why| Failure::Runtime(format!("cannot set no_new_privs: {why}")))
}

/// Becomes the user, if there is one, and gives up every capability but one, which it keeps if it has it. For a process of
/// one thread that serves one purpose.
pub(crate) fn keep_only(capability: Capability, user: Option<&User>) -> Result<(), Failure> {
    let failure = |why: caps::errors::CapsError| Failure::Runtime(format!("cannot give up capabilities: {why}"));
    clear_bounding_set()?;
    if let Some(user) = user {
        set_keepcaps(true).map_err(|why| Failure::Runtime(format!("cannot keep capabilities: {why}")))?;
        become_user(user).map_err(|why| Failure::Runtime(format!("cannot become the user {:?}: {why}", user.name)))?;
        set_keepcaps(false).map_err(|why| Failure::Runtime(format!("cannot keep capabilities: {why}")))?;
    }
    let permitted = caps::has_cap(None, CapSet::Permitted, capability).map_err(failure)?;
    let kept = permitted.then_some(capability).into_iter().collect();
    caps::clear(None, CapSet::Ambient).map_err(failure)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failure)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failure)?;
    caps::clear(None, CapSet::Inheritable).map_err(failure)?;
    set_no_new_privs().map_err(|why| Failure::Runtime(format!("cannot set no_new_privs: {why}")))
}

/// Needs CAP_SETPCAP; who starts without it has nothing to lose by exec either, thanks to no_new_privs.
fn clear_bounding_set() -> Result<(), Failure> {
    let failure = |why: caps::errors::CapsError| Failure::Runtime(format!("cannot give up capabilities: {why}"));
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(failure)? {
        caps::clear(None, CapSet::Bounding).map_err(failure)?;
    }
    Ok(())
}

fn become_user(user: &User) -> nix::Result<()> {
    let name = CString::new(user.name.as_bytes()).map_err(|_| nix::Error::EINVAL)?;
    initgroups(&name, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)
}
