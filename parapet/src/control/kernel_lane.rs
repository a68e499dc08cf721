//! What is said of the kernel lane over the control socket and the HTTP API.

use std::collections::BTreeMap;

use edge::kernel::{KernelStats, LaneStatus};
use serde::{Deserialize, Serialize};

/// How the kernel lane is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KernelLaneStatus {
    /// What the node wants: `auto`, `off` or `required`.
    pub(crate) wanted: String,
    /// Whether it is on an interface.
    pub(crate) attached: bool,
    /// Why it is nowhere, or cannot be kept.
    pub(crate) problem: Option<String>,
    /// Each interface that it was to be on.
    pub(crate) interfaces: Vec<KernelInterface>,
    /// Whether it has what the daemon before left.
    pub(crate) taken_over: bool,
    /// Answers that it holds, those that are old included, and for how many there is room.
    pub(crate) answers: u64,
    pub(crate) answers_max: u64,
    /// Packets to where it answers, since the start; and what became of them.
    pub(crate) seen: u64,
    pub(crate) answered: u64,
    pub(crate) dropped: u64,
    /// Those that the sockets got, by reason.
    pub(crate) passed: BTreeMap<String, u64>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KernelInterface {
    pub(crate) name: String,
    /// `native` or `generic`; none: the sockets answer what comes by it.
    pub(crate) mode: Option<String>,
    /// Why not better.
    pub(crate) why: Option<String>,
    /// Whether the program that the daemon before left there was replaced.
    pub(crate) taken_over: bool,
}

impl KernelLaneStatus {
    pub(crate) fn new(lane: &LaneStatus, stats: Option<&KernelStats>) -> Self {
        let stats = stats.copied().unwrap_or_default();
        let interface = |interface: &edge::kernel::InterfaceStatus| KernelInterface {
            name: interface.name.clone(),
            mode: interface.mode.map(|mode| mode.as_str().to_owned()),
            why: interface.why.clone(),
            taken_over: interface.taken_over,
        };
        Self {
            wanted: lane.wanted.as_str().to_owned(),
            attached: lane.interfaces.iter().any(|interface| interface.mode.is_some()),
            problem: lane.problem.clone(),
            interfaces: lane.interfaces.iter().map(interface).collect(),
            taken_over: lane.taken_over,
            answers: stats.held,
            answers_max: lane.answers_max as u64,
            seen: stats.seen,
            answered: stats.answered,
            dropped: stats.dropped,
            passed: stats.passed().map(|(reason, number)| (reason.as_str().to_owned(), number)).collect(),
        }
    }

    /// In one line.
    pub(crate) fn summary(&self) -> String {
        if self.wanted == "off" {
            return "off: the sockets answer".to_owned();
        }
        if !self.attached {
            let first = self.interfaces.iter().find_map(|interface| interface.why.clone());
            let why = self.problem.clone().or(first).unwrap_or_else(|| "no interface".to_owned());
            return format!("not to be had, the sockets answer: {why}");
        }
        let mode = |interface: &KernelInterface| interface.mode.clone().unwrap_or_else(|| "sockets only".to_owned());
        let interfaces: Vec<_> =
            self.interfaces.iter().map(|interface| format!("{} ({})", interface.name, mode(interface))).collect();
        let passed: u64 = self.passed.values().sum();
        format!(
            "{}; {} of {} answers held; {} answered, {} dropped, {passed} passed to the sockets",
            interfaces.join(", "),
            self.answers,
            self.answers_max,
            self.answered,
            self.dropped
        )
    }

    /// What is worth a line of its own: an interface that has less than the best, and why.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> + '_ {
        let interface = |interface: &KernelInterface| {
            let mode = interface.mode.as_deref().unwrap_or(NOT_ATTACHED);
            interface.why.as_ref().map(|why| format!("{}: {mode}: {why}", interface.name))
        };
        self.problem.iter().cloned().chain(self.interfaces.iter().filter_map(interface))
    }
}

/// An interface without the program.
const NOT_ATTACHED: &str = "not attached";

#[cfg(test)]
mod tests {
    use config::KernelMode;
    use edge::kernel::{AttachMode, InterfaceStatus, PassReason};

    use super::*;

    fn lane(wanted: KernelMode, interfaces: &[(&str, Option<AttachMode>, Option<&str>)]) -> KernelLaneStatus {
        let interface = |&(name, mode, why): &(&str, Option<AttachMode>, Option<&str>)| InterfaceStatus {
            name: name.to_owned(),
            mode,
            why: why.map(str::to_owned),
            taken_over: false,
        };
        let interfaces = interfaces.iter().map(interface).collect();
        let status = LaneStatus { wanted, problem: None, interfaces, answers_max: 8, taken_over: false };
        let stats = KernelStats { seen: 10, answered: 6, held: 3, ..KernelStats::default() };
        KernelLaneStatus::new(&status, Some(&stats))
    }

    #[test]
    fn what_is_said_of_it_in_one_line() {
        assert_eq!(lane(KernelMode::Off, &[]).summary(), "off: the sockets answer");
        assert_eq!(
            lane(KernelMode::Auto, &[("eth0", None, Some("in the way"))]).summary(),
            "not to be had, the sockets answer: in the way"
        );
        let both = lane(
            KernelMode::Auto,
            &[("eth0", Some(AttachMode::Native), None), ("eth1", Some(AttachMode::Generic), Some("not natively: no"))],
        );
        assert_eq!(
            both.summary(),
            "eth0 (native), eth1 (generic); 3 of 8 answers held; 6 answered, 0 dropped, 0 passed to the sockets"
        );
        assert_eq!(both.problems().collect::<Vec<_>>(), ["eth1: generic: not natively: no"]);
        assert_eq!(both.passed.len(), PassReason::ALL.len());
    }
}
