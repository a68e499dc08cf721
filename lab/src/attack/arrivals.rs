//! What a target sends to those whom an attack pretends to be: counted where it arrives, and thrown away, by nft at the
//! ingress of the attacker's interface, before the network stack has any work with it.

use serde::Serialize;
use serde_json::Value;

use super::{PORT_MAX, PORT_MIN, Target, VICTIM};
use crate::{LabError, Namespace};

/// The table in the attacker's namespace.
const TABLE: &str = "parapet_attack";

/// Packets and their bytes, from the IP header on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counted {
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What has arrived since counting began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Arrived {
    /// At the victims of reflection.
    pub victim: Counted,
    /// At all others whom an attack pretended to be.
    pub attacked: Counted,
    /// Of both, the answers that were truncated (TC).
    pub truncated: Counted,
}

impl Arrived {
    /// At victims and others together.
    pub fn all(&self) -> Counted {
        Counted { packets: self.victim.packets + self.attacked.packets, bytes: self.victim.bytes + self.attacked.bytes }
    }

    /// What has arrived since `earlier`.
    pub fn since(&self, earlier: &Arrived) -> Arrived {
        let less = |now: Counted, then: Counted| Counted {
            packets: now.packets.saturating_sub(then.packets),
            bytes: now.bytes.saturating_sub(then.bytes),
        };
        Arrived {
            victim: less(self.victim, earlier.victim),
            attacked: less(self.attacked, earlier.attacked),
            truncated: less(self.truncated, earlier.truncated),
        }
    }
}

/// Counters of what arrives; they count as long as the namespace is there.
pub struct Arrivals {
    namespace: Namespace,
}

impl Arrivals {
    /// Count and throw away, from now on, what arrives from `target` for addresses that are not its [`Target::own`], and for
    /// the ports of attacks at those that are. Needs `nft`.
    pub fn of(target: &Target) -> Result<Arrivals, LabError> {
        let [first, second, third, _] = VICTIM.octets();
        let own = match target.own.join(", ") {
            own if own.is_empty() => String::new(),
            own => format!(
                "    ip daddr {{ {own} }} meta l4proto != udp accept\n    \
                     ip daddr {{ {own} }} udp dport != {PORT_MIN}-{PORT_MAX} accept\n"
            ),
        };
        // Behind the UDP header of 8 bytes, the third and fourth byte of the message are its flags.
        let table = format!(
            "table netdev {TABLE} {{\n  counter victim {{ }}\n  counter attacked {{ }}\n  counter truncated {{ }}\n  \
             chain arrivals {{\n    type filter hook ingress device \"{}\" priority -500; policy accept;\n    \
             meta protocol != ip accept\n{own}    \
             meta l4proto udp @th,80,16 & 0x0200 == 0x0200 counter name truncated\n    \
             ip daddr {first}.{second}.{third}.0/24 counter name victim drop\n    \
             counter name attacked drop\n  }}\n}}\n",
            target.interface
        );
        target.namespace.program("nft").args(["-f", "-"]).input(table).run()?.success()?;
        Ok(Arrivals { namespace: target.namespace.clone() })
    }

    /// What has arrived so far.
    pub fn read(&self) -> Result<Arrived, LabError> {
        let output = self.namespace.run("nft", &["-j", "list", "counters", "table", "netdev", TABLE])?;
        let listed: Value = serde_json::from_str(&output.stdout)
            .map_err(|error| LabError::Invalid(format!("reading nft's counters: {error}")))?;
        let entries = listed.get("nftables").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let count = |name: &str| {
            let counter = entries.iter().filter_map(|entry| entry.get("counter"));
            let counter = counter.into_iter().find(|counter| counter.get("name").is_some_and(|found| found == name));
            let number = |key| counter.and_then(|counter| counter.get(key)?.as_u64());
            let read = number("packets").zip(number("bytes")).map(|(packets, bytes)| Counted { packets, bytes });
            read.ok_or_else(|| LabError::Invalid(format!("nft has no counter {name}")))
        };
        Ok(Arrived { victim: count("victim")?, attacked: count("attacked")?, truncated: count("truncated")? })
    }

    /// Stop counting, and let through what arrives.
    pub fn remove(self) -> Result<(), LabError> {
        self.namespace.run("nft", &["delete", "table", "netdev", TABLE]).map(drop)
    }
}
