//! Who works on the packets that arrive at an interface, and on which core.
//!
//! On a wire within one machine (veth) the sender does the receiver's work, on its own core, up to the receiver's socket. A
//! network card would interrupt a core of the receiver's. So that a server is measured with what it costs to receive, and an
//! answer that is given before the network stack is not charged to who asks, a thread of the kernel (threaded NAPI) can do that
//! work on a core that is chosen.

use std::{collections::BTreeSet, fs, time::Duration};

use nix::{errno::Errno, libc, sched::sched_setaffinity, unistd::Pid};

use crate::{LabError, Namespace, cores, until};

/// The kernel has made its thread within this time.
const THREAD_DEADLINE: Duration = Duration::from_secs(5);
/// As [`crate::Program::core`] has it.
const MEASURED_NICENESS: i32 = -20;
/// The shortest turns there are: a wire has room for 256 frames, which is 0.4 ms at 600,000 a second, and with ordinary turns
/// whoever else has the core keeps it for longer.
const PROMPT_TURN: Duration = Duration::from_micros(100);
/// The lowest real-time priority but one: above what is ordinary, and above real clients that have the lowest.
const PRIORITY: &str = "2";

/// Before whom on its core a receiver goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rank {
    /// Before everybody, as interrupts do: for who asks all the time, and would not hear the answers else.
    Interrupt,
    /// It shares the core evenly with what is [measured](crate::Program::core) there, as the kernel has it once there are more
    /// interrupts than it can bear.
    Measured,
    /// The same, but in short turns: nobody else keeps the core for long. For where what is lost on the wire, which has less room
    /// than a network card, would be taken for lost by the server.
    Prompt,
}

/// The kernel's thread that takes in what arrives at an interface.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// As the kernel names it, up to the number of the queue.
    prefix: String,
    pid: u32,
    core: usize,
}

impl Namespace {
    /// Have what arrives at this interface worked on by a thread of the kernel, on this core. For what the other end's network
    /// stack sends, this is to be done at both ends. Needs `ethtool`, `unshare` and `chrt`.
    pub fn receive_on(&self, interface: &str, core: usize, rank: Rank) -> Result<Receiver, LabError> {
        // On a veth, NAPI comes with GRO, but not for what comes from an end that leaves TCP's segmentation to this one.
        self.set_feature(interface, "gro", true)?;
        self.set_feature(interface, "tso", false)?;
        let before = threads_of(interface);
        // What /sys shows of interfaces is the namespace's that mounted it.
        let order = format!("mount -t sysfs none /sys && echo 1 >/sys/class/net/{interface}/threaded");
        self.run("unshare", &["--mount", "sh", "-ec", &order])?;
        let pid = until(format!("the kernel's thread for {interface}"), THREAD_DEADLINE, || {
            threads_of(interface).difference(&before).next().copied()
        })?;
        let receiver = Receiver { prefix: prefix(interface), pid, core };
        receiver.settle(self, rank)?;
        Ok(receiver)
    }
}

impl Receiver {
    fn settle(&self, namespace: &Namespace, rank: Rank) -> Result<(), LabError> {
        let Receiver { prefix, pid, core } = self;
        sched_setaffinity(Pid::from_raw(*pid as i32), &cores::only(*core)?)
            .map_err(LabError::errno(format!("keeping {prefix}… to core {core}")))?;
        let turn = match rank {
            Rank::Interrupt => {
                return namespace.run("chrt", &["--fifo", "--pid", PRIORITY, &pid.to_string()]).map(drop);
            }
            Rank::Measured => Duration::ZERO,
            Rank::Prompt => PROMPT_TURN,
        };
        share(*pid, turn).map_err(LabError::errno(format!("having {prefix}… share core {core}")))
    }

    /// Processor time that it has used; an error where the kernel has ended it, as it does when the interface goes down.
    pub fn run_time(&self) -> Result<Duration, LabError> {
        let folder = format!("/proc/{}", self.pid);
        let is_it = fs::read_to_string(format!("{folder}/comm")).is_ok_and(|name| name.starts_with(&self.prefix));
        let time = run_time(&folder).filter(|_| is_it);
        time.ok_or_else(|| LabError::Invalid(format!("the kernel's thread {}… is gone", self.prefix)))
    }
}

fn prefix(interface: &str) -> String {
    format!("napi/{interface}-")
}

/// The kernel's threads for interfaces of this name, of whatever namespace.
fn threads_of(interface: &str) -> BTreeSet<u32> {
    let prefix = prefix(interface);
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeSet::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with(&prefix)))
        .collect()
}

/// Processor time of the thread or the process's main thread whose folder of /proc this is: exact, where the ticks of `stat`
/// are a sample.
pub(crate) fn run_time(folder: &str) -> Option<Duration> {
    let statistics = fs::read_to_string(format!("{folder}/schedstat")).ok()?;
    statistics.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Have a thread share its core with what is measured there, in turns of this length; of the length that all have if it is
/// nothing, or before Linux 6.12.
#[allow(unsafe_code)]
fn share(pid: u32, turn: Duration) -> nix::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: MEASURED_NICENESS,
        sched_priority: 0,
        sched_runtime: turn.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads as much of `attributes` as that itself says, which is all of it, and keeps nothing.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, pid as libc::pid_t, &raw const attributes, 0) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::{Lab, Topology};

    #[test]
    fn what_arrives_is_taken_in_by_a_thread_on_a_core() {
        let lab = Lab::new("receive").unwrap();
        let net = lab.build(&Topology::new("pair", "").host("rcv-a").host("rcv-b").link("rcv-a", "rcv-b", 1)).unwrap();
        let (a, b) = (net.host("rcv-a"), net.host("rcv-b"));
        let receiver = a.receive_on("rcv-b", 0, Rank::Measured).unwrap();
        b.receive_on("rcv-a", 0, Rank::Interrupt).unwrap();
        let before = receiver.run_time().unwrap();
        let here = a.enter(|| UdpSocket::bind("0.0.0.0:5353")).unwrap().unwrap();
        here.set_read_timeout(Some(THREAD_DEADLINE)).unwrap();
        let there = b.enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        there.send_to(b"question", (a.v4(), 5353)).unwrap();
        assert_eq!(here.recv(&mut [0; 64]).unwrap(), 8);
        // It may still be at it.
        until("the thread's work", THREAD_DEADLINE, || receiver.run_time().ok().filter(|now| *now > before)).unwrap();
        drop((here, there, net, lab));
    }
}
