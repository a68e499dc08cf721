//! A network namespace: made, entered, wired and run in.

use std::{
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use nix::sched::{CloneFlags, setns, unshare};

use crate::{LabError, Output, Program, link, run};

/// The lab's settings of a fresh namespace: IPv6 addresses usable at once (no duplicate address detection), no
/// reverse-path filter in the way of a router.
const SYSCTLS: [(&str, &str); 5] = [
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
];

/// A network namespace. Clones are handles of the same one; the kernel removes it, with its end of every wire, when
/// the last handle and the last process in it are gone.
#[derive(Clone)]
pub struct Namespace {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    file: File,
    addresses: Mutex<Vec<IpAddr>>,
    lab: Arc<run::Inner>,
}

impl Namespace {
    pub(crate) fn new(lab: &Arc<run::Inner>, name: &str) -> Result<Namespace, LabError> {
        // A thread can leave its namespace without the rest of the process noticing; it ends here, the file stays.
        let made = thread::spawn(|| -> Result<File, LabError> {
            unshare(CloneFlags::CLONE_NEWNET).map_err(LabError::errno("making a network namespace (needs root)"))?;
            File::open("/proc/thread-self/ns/net").map_err(LabError::io("opening a new namespace"))
        });
        let file = join(made)?;
        let namespace = Namespace {
            inner: Arc::new(Inner { name: name.to_owned(), file, addresses: Mutex::default(), lab: Arc::clone(lab) }),
        };
        for (key, value) in SYSCTLS {
            namespace.sysctl(key, value)?;
        }
        namespace.netlink(|net| async move { net.up("lo").await })?;
        Ok(namespace)
    }

    /// The name it was given; a word for people, unknown to the kernel.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its path for other programs while this process lives, as in `nsenter --net=PATH`.
    pub fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.inner.file.as_raw_fd()))
    }

    pub(crate) fn file(&self) -> &File {
        &self.inner.file
    }

    pub(crate) fn lab(&self) -> &Arc<run::Inner> {
        &self.inner.lab
    }

    /// Run `work` on a thread inside the namespace and give back its result. Sockets made there stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        let doing = format!("entering namespace {}", self.name());
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.inner.file, CloneFlags::CLONE_NEWNET).map_err(LabError::errno(doing))?;
                Ok(work())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Set a kernel parameter of this namespace, as in `net/ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), LabError> {
        let path = format!("/proc/sys/{key}");
        self.enter(|| fs::write(&path, value))?.map_err(LabError::io(format!("writing {value} to {path}")))
    }

    /// Forward packets, IPv4 and IPv6.
    pub fn forward(&self) -> Result<(), LabError> {
        self.sysctl("net/ipv4/ip_forward", "1")?;
        self.sysctl("net/ipv6/conf/all/forwarding", "1")
    }

    /// A wire (a veth pair) from here to `other`; interface names are of 15 bytes at most and each end's own affair.
    pub fn wire(&self, interface: &str, other: &Namespace, other_interface: &str) -> Result<(), LabError> {
        self.netlink(|net| async move {
            net.wire(interface, other_interface, other.file()).await?;
            net.up(interface).await
        })?;
        other.netlink(|net| async move { net.up(other_interface).await })
    }

    /// Switch a feature of an interface on or off, in the words of ethtool: `gro`, `txvlan`.
    pub fn set_feature(&self, interface: &str, feature: &str, on: bool) -> Result<(), LabError> {
        self.run("ethtool", &["-K", interface, feature, if on { "on" } else { "off" }]).map(|_| ())
    }

    /// Give an interface an address.
    pub fn address(&self, interface: &str, address: IpAddr, prefix_bits: u8) -> Result<(), LabError> {
        self.netlink(|net| async move { net.address(interface, address, prefix_bits).await })?;
        self.inner.addresses.lock().unwrap_or_else(PoisonError::into_inner).push(address);
        Ok(())
    }

    /// Send what is for `network/prefix_bits` to `gateway`; a prefix of 0 bits is the default route.
    pub fn route(&self, network: IpAddr, prefix_bits: u8, gateway: IpAddr) -> Result<(), LabError> {
        self.netlink(|net| async move { net.route(network, prefix_bits, gateway).await })
    }

    /// Make all addresses of `network/prefix_bits` this host's own, without giving them to an interface (AnyIP): sockets may
    /// send from each of them and get what is sent to it.
    pub fn own_prefix(&self, network: Ipv4Addr, prefix_bits: u8) -> Result<(), LabError> {
        self.netlink(|net| async move { net.own_prefix(network, prefix_bits).await })
    }

    /// The hardware (MAC) address of an interface.
    pub fn hardware_address(&self, interface: &str) -> Result<[u8; 6], LabError> {
        self.netlink(|net| async move { net.hardware_address(interface).await })
    }

    /// Set an interface up or down, as when a cable is pulled.
    pub fn set_up(&self, interface: &str, up: bool) -> Result<(), LabError> {
        self.netlink(|net| async move { if up { net.up(interface).await } else { net.down(interface).await } })
    }

    /// Take an interface's carrier, or give it back: what [`crate::Wire::unplug`] does at each end.
    pub(crate) fn set_carrier(&self, interface: &str, carrier: bool) -> Result<(), LabError> {
        self.netlink(|net| async move { net.carrier(interface, carrier).await })
    }

    /// Packets that an interface received and sent.
    pub fn interface_packets(&self, interface: &str) -> Result<(u64, u64), LabError> {
        self.netlink(|net| async move { net.packets(interface).await })
    }

    /// Packets that an interface had no room for: received, and to be sent.
    pub fn interface_dropped(&self, interface: &str) -> Result<(u64, u64), LabError> {
        self.netlink(|net| async move { net.dropped(interface).await })
    }

    /// All addresses given with [`Namespace::address`], in that order.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.inner.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first IPv4 address; the unspecified one where there is none.
    pub fn v4(&self) -> IpAddr {
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.addresses().into_iter().find(IpAddr::is_ipv4).unwrap_or(unspecified)
    }

    /// The first IPv6 address; the unspecified one where there is none.
    pub fn v6(&self) -> IpAddr {
        let unspecified = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        self.addresses().into_iter().find(IpAddr::is_ipv6).unwrap_or(unspecified)
    }

    /// A program to run in here; see [`Program`].
    pub fn program(&self, program: &str) -> Program {
        Program::new(self, program)
    }

    /// Run a program to its end in here and give back what it wrote; a status other than success is an error.
    pub fn run<S: AsRef<str>>(&self, program: &str, arguments: &[S]) -> Result<Output, LabError> {
        self.program(program).args(arguments).run()?.success()
    }

    fn netlink<T, F>(&self, work: impl FnOnce(link::Netlink) -> F + Send) -> Result<T, LabError>
    where
        T: Send,
        F: Future<Output = Result<T, LabError>>,
    {
        self.enter(|| link::Netlink::with(work))?
    }
}

fn join<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
