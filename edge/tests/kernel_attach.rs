//! Attaching the kernel lane: natively, in generic mode, not where another program is, and again after a crash. In network
//! namespaces of their own; needs root.
#![cfg(feature = "kernel")]

use std::{env, fs, net::SocketAddr, path::PathBuf, process::Command};

use config::{Defences, KernelAttach, KernelCrash, KernelMode, Lanes};
use edge::kernel::{AttachMode, InterfaceStatus, KernelError, KernelLane, LaneStatus, Wanted, open};
use nix::sched::{CloneFlags, unshare};

/// Two ends of a wire in a network of this thread's own, the first with an address.
struct Network {
    state_dir: PathBuf,
}

impl Network {
    fn new(name: &str) -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("tests of the kernel lane need root");
        for line in [
            "link set lo up",
            "link add near type veth peer name far",
            "addr add 192.0.2.1/24 dev near",
            "link set near up",
            "link set far up",
        ] {
            let done = Command::new("ip").args(line.split(' ')).status().expect("ip of iproute2 is there");
            assert!(done.success(), "ip {line}");
        }
        let state_dir = env::temp_dir().join(format!("parapet-{name}-{}", std::process::id()));
        fs::create_dir(&state_dir).unwrap();
        Self { state_dir }
    }

    fn open(&self, node: &str, lanes: &Lanes) -> Result<(Option<KernelLane>, LaneStatus), KernelError> {
        let listen: [SocketAddr; 1] = ["192.0.2.1:53".parse().unwrap()];
        open(&Wanted { lanes, listen: &listen, node, state_dir: &self.state_dir, owner: None })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.state_dir);
    }
}

fn lanes(kernel: KernelMode) -> Lanes {
    Lanes { kernel, kernel_answers: 8, ..Lanes::default() }
}

fn interface(status: &LaneStatus) -> InterfaceStatus {
    let [interface] = status.interfaces.as_slice() else { panic!("{status:?}") };
    interface.clone()
}

#[test]
fn it_is_native_where_the_driver_has_that_and_goes_when_it_is_dropped() {
    let network = Network::new("native");
    for _ in 0..2 {
        let natively = Lanes { kernel_attach: KernelAttach::Native, ..lanes(KernelMode::Required) };
        let (lane, status) = network.open("one", &natively).unwrap();
        let wanted =
            InterfaceStatus { name: "near".to_owned(), mode: Some(AttachMode::Native), why: None, taken_over: false };
        assert_eq!((interface(&status), status.problem, status.answers_max), (wanted, None, 8));
        assert!(lane.is_some_and(|lane| lane.taken_over().is_none()));
    }
}

#[test]
fn it_is_generic_where_the_driver_has_no_more() {
    let network = Network::new("generic");
    let wanted = Lanes { interfaces: vec!["lo".to_owned()], ..lanes(KernelMode::Auto) };
    let (lane, status) = network.open("one", &wanted).unwrap();
    let found = interface(&status);
    assert_eq!((found.mode, lane.is_some()), (Some(AttachMode::Generic), true), "{found:?}");
    assert!(found.why.is_some_and(|why| why.starts_with("not natively: ")));
}

#[test]
fn a_virtual_wire_is_taken_natively_only_when_that_is_asked_for() {
    let network = Network::new("veth");
    for (way, mode) in [
        (KernelAttach::Auto, AttachMode::Generic),
        (KernelAttach::Generic, AttachMode::Generic),
        (KernelAttach::Native, AttachMode::Native),
    ] {
        let wanted = Lanes { kernel_attach: way, ..lanes(KernelMode::Required) };
        let (_lane, status) = network.open("one", &wanted).unwrap();
        let found = interface(&status);
        assert_eq!((found.mode, found.why.is_some()), (Some(mode), way == KernelAttach::Auto), "{found:?}");
    }
    let wanted =
        Lanes { interfaces: vec!["lo".to_owned()], kernel_attach: KernelAttach::Native, ..lanes(KernelMode::Required) };
    let refused = network.open("one", &wanted).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("not to be had on lo: not natively: "), "{refused}");
}

#[test]
fn where_another_program_is_it_is_not_and_says_which() {
    let network = Network::new("refused");
    let (_other, _) = network.open("other", &lanes(KernelMode::Required)).unwrap();
    let (lane, status) = network.open("one", &lanes(KernelMode::Auto)).unwrap();
    let found = interface(&status);
    assert!(lane.is_none() && found.mode.is_none(), "{found:?}");
    let why = found.why.unwrap();
    assert!(why.starts_with("another XDP program is on it, number ") && why.contains(" (parapet): "), "{why}");
    let refused = network.open("one", &lanes(KernelMode::Required)).map(|_| ()).unwrap_err().to_string();
    assert!(refused.starts_with("the kernel lane is required, and not to be had on near: another XDP"), "{refused}");
}

#[test]
fn an_interface_that_is_not_there_is_said_so() {
    let network = Network::new("absent");
    let wanted = Lanes { interfaces: vec!["gone".to_owned()], ..lanes(KernelMode::Required) };
    let refused = network.open("one", &wanted).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("not to be had on gone: it cannot be looked at"), "{refused}");
    let (lane, status) = network.open("one", &lanes(KernelMode::Off)).unwrap();
    assert!(lane.is_none() && status.interfaces.is_empty() && status.problem.is_none());
}

#[test]
fn what_a_crash_leaves_is_taken_over_or_taken_away() {
    const SEED: [u64; 2] = [7, 8];
    let network = Network::new("kept");
    let wanted = Lanes { kernel_crash: KernelCrash::Keep, ..lanes(KernelMode::Required) };
    let (lane, status) = network.open("one", &wanted).unwrap();
    assert!(!status.taken_over && !interface(&status).taken_over);
    let mut lane = lane.unwrap();
    lane.filters(&Defences::default(), SEED).unwrap();
    // As far as the kernel sees, it may as well have died: what is pinned is there for the next.
    std::mem::forget(lane);
    let (lane, status) = network.open("one", &wanted).unwrap();
    assert!(status.taken_over && interface(&status).taken_over, "{status:?}");
    let mut lane = lane.unwrap();
    assert_eq!(lane.taken_over().map(|before| before.filters_seed), Some(SEED));
    lane.filters(&Defences::default(), SEED).unwrap();
    assert!(lane.zones().unwrap().epoch() >= Some(2), "what was there before is void");
    std::mem::forget(lane);
    // Another size is no use to it: the program is replaced all the same.
    let larger = Lanes { kernel_answers: 100, ..wanted };
    let (lane, status) = network.open("one", &larger).unwrap();
    assert!(!status.taken_over && interface(&status).taken_over && status.answers_max == 128, "{status:?}");
    assert!(lane.as_ref().is_some_and(|lane| lane.taken_over().is_none()));
    let folders = || {
        let mut names = fs::read_dir("/sys/fs/bpf").unwrap().map(|entry| entry.unwrap().file_name());
        // The folder's name has the number of the state folder, and so there is none of others.
        names.any(|name| name.to_string_lossy() == network.folder())
    };
    assert!(folders());
    drop(lane);
    assert!(!folders());
}

impl Network {
    /// As the lane names its folder: FNV-1a of where the node keeps its state.
    fn folder(&self) -> String {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let path = fs::canonicalize(&self.state_dir).unwrap();
        let number = path.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
        format!("parapet-one-{number:016x}")
    }
}
