//! Wires with delay, jitter, loss and rate, that can be cut while they carry: what the kernel's netem does, on kernels
//! that lack it too.
//!
//! A wire is an Ethernet between two namespaces, made of a tap device in each. A frame that a host sends into its tap is
//! read by one thread of this process, which decides what becomes of it (`path`), keeps it until it is due, and writes
//! it into the other tap (`forwarder`). All wires of a lab share that thread, so a lab of dozens of wires costs one
//! `epoll` and one timer. The taps are open files of this process: however it ends, the wires go with it.
//!
//! Beyond its delay a datagram takes 32 µs in the median and 124 µs at the 99th percentile, at 10,000 a second, which cost
//! 8 % of a core; more where it has to wait for one. `lab/examples/wires.rs` measures that.
//!
//! A wire that is *cut* lets nothing pass and says nothing: both ends keep their carrier, as when something in the middle
//! of a long line fails. One that is *unplugged* loses its carrier, which both ends notice at once.

mod forwarder;
mod path;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::{LabError, Namespace};

pub(crate) use forwarder::Forwarder;

/// What a wire does to the frames on it, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// How long every frame is under way, at least.
    pub delay: Duration,
    /// Up to so much longer, evenly spread.
    pub jitter: Duration,
    /// The share of frames that get lost, from 0 to 1.
    pub loss: f64,
    /// Bits that are sent in a second; without, frames take no time to be sent.
    pub rate_bit_per_s: Option<u64>,
    /// Whether frames may overtake each other where their jitter says so.
    pub reorder: bool,
}

impl Quality {
    /// Nothing but a delay.
    pub fn delay(delay: Duration) -> Quality {
        Quality { delay, ..Quality::default() }
    }

    /// The same with jitter.
    pub fn jitter(self, jitter: Duration) -> Quality {
        Quality { jitter, ..self }
    }

    /// The same with this share of frames lost, from 0 to 1.
    pub fn loss(self, loss: f64) -> Quality {
        Quality { loss, ..self }
    }

    /// The same with a rate.
    pub fn rate(self, bit_per_s: u64) -> Quality {
        Quality { rate_bit_per_s: Some(bit_per_s), ..self }
    }

    /// The same, and frames may overtake each other.
    pub fn reorder(self) -> Quality {
        Quality { reorder: true, ..self }
    }
}

/// Frames of one wire, both directions added up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// They came out at the other end.
    pub passed: u64,
    /// They were lost by chance, as [`Quality::loss`] says.
    pub lost: u64,
    /// They ran into the cut.
    pub cut: u64,
    /// There was no room for them, on the wire or at its end.
    pub dropped: u64,
}

/// A wire between two namespaces. Clones are handles of the same one; it lasts as long as the lab.
#[derive(Clone)]
pub struct Wire {
    inner: Arc<Inner>,
    ends: [(Namespace, String); 2],
}

/// What the handles and the forwarding thread share.
struct Inner {
    taps: [SyncDevice; 2],
    seed: u64,
    state: Mutex<State>,
    counters: Counters,
}

#[derive(Clone, Copy)]
struct State {
    quality: Quality,
    cut: bool,
}

#[derive(Default)]
struct Counters {
    passed: AtomicU64,
    lost: AtomicU64,
    cut: AtomicU64,
    dropped: AtomicU64,
}

impl Wire {
    /// A wire between `interface` in `namespace` and `other_interface` in `other`, both up, without addresses. Both
    /// namespaces are of the same lab.
    pub fn between(
        namespace: &Namespace,
        interface: &str,
        other: &Namespace,
        other_interface: &str,
        quality: Quality,
    ) -> Result<Wire, LabError> {
        let ends = [(namespace.clone(), interface.to_owned()), (other.clone(), other_interface.to_owned())];
        let taps = [open_tap(namespace, interface)?, open_tap(other, other_interface)?];
        let state = Mutex::new(State { quality, cut: false });
        let wire = namespace.lab().wires.add(|number| Inner {
            taps,
            // Each wire loses other frames than its neighbour, and the same ones in every run.
            seed: number,
            state,
            counters: Counters::default(),
        })?;
        namespace.set_up(interface, true)?;
        other.set_up(other_interface, true)?;
        Ok(Wire { inner: wire, ends })
    }

    /// From now on frames that enter fare like this; those that are under way are not touched.
    pub fn set_quality(&self, quality: Quality) {
        self.inner.state().quality = quality;
    }

    /// How frames fare that enter now.
    pub fn quality(&self) -> Quality {
        self.inner.state().quality
    }

    /// Cut it silently: once this returns nothing comes out any more at either end, what was under way included. The ends
    /// keep their carrier.
    pub fn cut(&self) {
        self.inner.state().cut = true;
    }

    /// Mend what [`Wire::cut`] did.
    pub fn restore(&self) {
        self.inner.state().cut = false;
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        self.inner.state().cut
    }

    /// Take the carrier from both ends, as when the plug is pulled; the kernel and routing daemons notice.
    pub fn unplug(&self) -> Result<(), LabError> {
        self.ends.iter().try_for_each(|(namespace, interface)| namespace.set_carrier(interface, false))
    }

    /// Give both ends their carrier back.
    pub fn plug_in(&self) -> Result<(), LabError> {
        self.ends.iter().try_for_each(|(namespace, interface)| namespace.set_carrier(interface, true))
    }

    /// What became of the frames so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            passed: read(&counters.passed),
            lost: read(&counters.lost),
            cut: read(&counters.cut),
            dropped: read(&counters.dropped),
        }
    }

    /// Its ends: namespace and interface.
    pub fn ends(&self) -> &[(Namespace, String); 2] {
        &self.ends
    }
}

impl Inner {
    /// Held while a frame is written, so that a cut is complete when it returns.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tap device in `namespace`, open in this process: its descriptor works from any namespace.
pub(crate) fn open_tap(namespace: &Namespace, interface: &str) -> Result<SyncDevice, LabError> {
    let open = || {
        let tap = DeviceBuilder::new().name(interface).layer(Layer::L2).enable(false).build_sync()?;
        tap.set_nonblocking(true)?;
        Ok(tap)
    };
    let doing = format!("making the tap device {interface} in {} (needs /dev/net/tun)", namespace.name());
    namespace.enter(open)?.map_err(LabError::io(doing))
}
