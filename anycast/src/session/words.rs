//! What an operator reads when there is no connection: what happened, and where to look.

use std::io::{self, ErrorKind};

use super::connection::{Broken, SILENCE_TIME_MAX, UNSENT_BYTES_MAX};
use super::link::{CONNECT_TIME_MAX, Link};
use super::md5_drops::Md5Drops;

/// Why no connection came about.
pub(super) fn connect_problem(link: &Link, error: &io::Error, drops: Md5Drops) -> String {
    let remote = link.remote;
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => no_answer(link, drops),
        ErrorKind::ConnectionRefused => format!(
            "{remote} refuses the connection: either nothing speaks BGP at this port, or it does not know this node's \
             address as a neighbour"
        ),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => broken(link, &Broken::ClosedUnheard),
        ErrorKind::HostUnreachable => format!(
            "{remote} cannot be reached: nobody on the link answers for this address, or a router on the way says so"
        ),
        ErrorKind::NetworkUnreachable => format!("{remote} cannot be reached: this node has no route to it"),
        ErrorKind::AddrNotAvailable => match link.source {
            Some(source) => {
                format!("this node does not have the address {source}, which is the `source` towards {remote}")
            }
            None => format!("this node has no address from which {remote} can be reached"),
        },
        ErrorKind::PermissionDenied => format!("a firewall of this node forbids connections to {remote}"),
        _ => format!("cannot connect to {remote}: {error}"),
    }
}

/// A router that is only waited for has not come.
pub(super) fn nobody_came(link: &Link, drops: Md5Drops) -> String {
    let remote = link.remote.ip();
    format!("{remote} has not connected, and this node only waits for it (`passive`){}", dropped(drops))
}

/// Silence: nobody there, or a segment that the other side or this one drops for its signature or its TTL.
fn no_answer(link: &Link, drops: Md5Drops) -> String {
    let remote = link.remote;
    let seconds = CONNECT_TIME_MAX.as_secs();
    let seen = dropped(drops);
    let password = if link.has_password() {
        "the router may have no TCP MD5 password for this node, or another one than ours"
    } else {
        "the router may want a TCP MD5 password, and `password_file` is not set"
    };
    let ttl = if link.ttl_security() { "; it must send with TTL 255 (`ttl_security`)" } else { "" };
    format!("no answer to our connection attempts within {seconds} s from {remote}{seen}: is it up? {password}{ttl}")
}

fn dropped(drops: Md5Drops) -> &'static str {
    match drops {
        Md5Drops::None => "",
        Md5Drops::WrongSignature => " (meanwhile this node dropped segments with a wrong TCP MD5 signature)",
        Md5Drops::Unsigned => " (meanwhile this node dropped segments that lacked a TCP MD5 signature)",
        Md5Drops::Unexpected => {
            " (meanwhile this node dropped segments with a TCP MD5 signature that it did not expect)"
        }
    }
}

/// Why a connection ended without a NOTIFICATION.
pub(super) fn broken(link: &Link, broken: &Broken) -> String {
    match broken {
        Broken::Closed => "the router closed the connection".into(),
        Broken::ClosedUnheard => "the router closes each connection before it says anything: does it know this node's \
                                  address as a neighbour?"
            .into(),
        Broken::Unheard => {
            let ttl = if link.ttl_security() { ": it must send with TTL 255 (`ttl_security`)" } else { "" };
            format!("the router took the connection, but in {} s nothing came of it{ttl}", SILENCE_TIME_MAX.as_secs())
        }
        Broken::NotRead => format!("the router does not read: more than {} KiB wait for it", UNSENT_BYTES_MAX / 1024),
        Broken::Io(error) if error.kind() == ErrorKind::ConnectionReset => "the router reset the connection".into(),
        Broken::Io(error) if error.kind() == ErrorKind::TimedOut => {
            "the router has acknowledged nothing for the hold time".into()
        }
        Broken::Io(error) => format!("the connection broke: {error}"),
    }
}
