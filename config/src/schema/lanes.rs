//! `[node.NAME.lanes]`: how datagrams are received and sent.

use super::{INTERFACES_MAX, KERNEL_ANSWERS_MAX, Kind, Table, item, single};

/// Longest name of an interface (IFNAMSIZ, without its end).
const INTERFACE_BYTES_MAX: usize = 15;

/// `[node.NAME.lanes]`
pub(super) const LANES: Table = single(
    "lanes",
    "How datagrams are received and sent: by sockets, and, where it is wanted, by a program in the kernel (XDP) that gives \
     answers which were given before, without waking anybody. It needs Linux 5.19 and CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON \
     at the start.",
    &[
        item(
            "kernel",
            Kind::Choice(&["auto", "off", "required"]),
            "\"auto\"",
            "The kernel lane. auto: on every interface that takes it, natively, or else in generic mode; where it is not to be \
             had, the sockets answer, and `parapet status` says why. required: without it the node does not start.",
        ),
        item(
            "interfaces",
            Kind::List { of: &Kind::Text { bytes_max: INTERFACE_BYTES_MAX }, min: 0, max: INTERFACES_MAX },
            "[]",
            "The interfaces whose packets it looks at. Without any: those that have the addresses of `listen`; where these are \
             wildcards or addresses of lo, all that are up, but not lo.",
        ),
        item(
            "kernel_answers",
            Kind::Integer { min: 8, max: KERNEL_ANSWERS_MAX },
            "65536",
            "How many answers it has room for, rounded up to a power of two: 818 bytes each that the kernel holds, 51 MiB by \
             default.",
        ),
        item(
            "kernel_attach",
            Kind::Choice(&["auto", "native", "generic"]),
            "\"auto\"",
            "How it is brought to an interface. native: the driver runs it, which is fastest; what it sends natively over a \
             virtual wire (veth) is lost unless the other end has an XDP program or GRO on. generic: the network stack runs it, \
             on any interface. auto: natively where the driver can, but generic over a virtual wire.",
        ),
        item(
            "kernel_crash",
            Kind::Choice(&["detach", "keep"]),
            "\"detach\"",
            "When the daemon dies: detach takes the program away with it; keep leaves it, pinned in /sys/fs/bpf, where it goes \
             on for ten seconds, and the next daemon takes it over with all that it holds.",
        ),
    ],
);
