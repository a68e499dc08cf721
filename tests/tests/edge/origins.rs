//! The three kinds of origin that operators have, with the same handles: `named`, NSD and Knot as primaries with TSIG and
//! NOTIFY, whose zone is replaced by editing its file.

use std::ops::Deref;

use parapet_lab::{Edge, Knot, Named, Namespace, Nsd, Server, ZoneSpec, zone_text};
use parapet_tests::compare::NAMED_OPTIONS;

use crate::scene::{DEADLINE, Scene};

/// The zone of these scenarios.
pub(crate) const ZONE: &str = "example.com";

/// Which server an origin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Named,
    Nsd,
    Knot,
}

/// Whether the origin has differences to answer IXFR with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Differences {
    Kept,
    NotOffered,
}

/// A running origin of one zone.
pub(crate) enum Origin {
    Named(Named),
    Nsd(Nsd),
    Knot(Knot),
}

impl Origin {
    /// Starts one at the scene's origin host that serves [`ZONE`] with `text` and notifies the first edge.
    pub(crate) fn start(scene: &Scene, kind: Kind, differences: Differences, text: &str) -> Origin {
        Origin::start_at(scene, scene.host("origin"), kind, differences, text)
    }

    /// The same on another host.
    pub(crate) fn start_at(
        scene: &Scene,
        host: &Namespace,
        kind: Kind,
        differences: Differences,
        text: &str,
    ) -> Origin {
        let zone = ZoneSpec::text(ZONE, text);
        let edge = scene.host("edge1").v4();
        let kept = differences == Differences::Kept;
        match kind {
            Kind::Named => {
                let ixfr = if kept { "ixfr-from-differences yes;" } else { "provide-ixfr no;" };
                let named =
                    Named::at(host).options(NAMED_OPTIONS).options(ixfr).key(&scene.key).notify(edge).zone(zone);
                Origin::Named(named.start().expect("named"))
            }
            Kind::Nsd => {
                let nsd = Nsd::at(host).key(&scene.key).notify(edge).zone(zone);
                Origin::Nsd(if kept { nsd.differences() } else { nsd }.start().expect("nsd"))
            }
            Kind::Knot => {
                let knot = Knot::at(host).key(&scene.key).notify(edge).zone(zone);
                Origin::Knot(if kept { knot.differences() } else { knot }.start().expect("knot"))
            }
        }
    }

    /// Another master file in place of the zone's.
    pub(crate) fn replace(&self, text: &str) {
        let replaced = match self {
            Origin::Named(named) => named.replace_zone(ZONE, text),
            Origin::Nsd(nsd) => nsd.replace_zone(ZONE, text),
            Origin::Knot(knot) => knot.replace_zone(ZONE, text),
        };
        replaced.expect("another zone at the origin");
    }

    /// The next version in place of the zone; waits until the origin itself answers with it.
    pub(crate) fn change_to(&self, serial: u32) {
        self.replace(&version(serial));
        self.wait_for_zone(ZONE, serial, DEADLINE).expect("the origin's own answer");
    }

    /// Its journal, or whatever it keeps differences in, is gone.
    pub(crate) fn lose_differences(&mut self) {
        match self {
            Origin::Named(named) => {
                named.stop().expect("named stops");
                let journal = named.folder().join("zones").join(format!("{ZONE}.zone.jnl"));
                std::fs::remove_file(&journal).expect("named has a journal");
                named.start_again().expect("named");
            }
            Origin::Nsd(nsd) => nsd.lose_differences().expect("nsd without its differences"),
            Origin::Knot(knot) => knot.lose_differences().expect("knot without its journal"),
        }
    }

    pub(crate) fn stop(&self) {
        Deref::deref(self).stop().expect("the origin stops");
    }

    pub(crate) fn start_again(&mut self) {
        let server: &mut Server = match self {
            Origin::Named(named) => named,
            Origin::Nsd(nsd) => nsd,
            Origin::Knot(knot) => knot,
        };
        server.start_again().expect("the origin starts again");
    }
}

impl Deref for Origin {
    type Target = Server;

    fn deref(&self) -> &Server {
        match self {
            Origin::Named(named) => named,
            Origin::Nsd(nsd) => nsd,
            Origin::Knot(knot) => knot,
        }
    }
}

/// The zone with this serial, which a TXT record at `version` tells as well, and `n1` to `n<serial>`.
pub(crate) fn version(serial: u32) -> String {
    let mut text = zone_text::small(ZONE).replace("hostmaster 1 ", &format!("hostmaster {serial} "));
    text.push_str(&format!("version TXT \"{serial}\"\n"));
    for number in 1..=serial {
        text.push_str(&format!("n{number} A 192.0.2.{number}\n"));
    }
    text
}

/// What the edge's `version` record says; whoever has one serial and another's records is caught by it.
pub(crate) fn version_at(scene: &Scene, edge: &Edge) -> String {
    let answer = scene.ask(edge.v4(), &format!("version.{ZONE}"), wire::Rtype::TXT);
    let texts: Vec<_> = answer.answer.values().flat_map(|(_, texts)| texts).collect();
    assert_eq!(texts.len(), 1, "{answer}");
    String::from_utf8_lossy(&texts[0][1..]).into_owned()
}
