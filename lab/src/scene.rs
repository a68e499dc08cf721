//! The main job set up: a hidden origin with three zones, and three edges in front of it.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use parapet_lab::{
    Dnssec, Lab, LabError, Named, Network, TsigKey, ZoneSpec, counters::Counters, dns, parapet_binary, topologies,
    until, zone_text,
};

use crate::subject::{Running, Secondary, Subject};

/// The zone that changes.
pub(crate) const ZONE: &str = "example.com";
/// The zone that `named` signs.
pub(crate) const SIGNED: &str = "signed.example";
/// All zones with what to say of them.
pub(crate) const ZONES: [(&str, &str); 3] = [
    (ZONE, "a small zone that accepts dynamic updates"),
    (SIGNED, "signed by named itself: dnssec-policy with NSEC3"),
    (".", "the real root zone of 2017-08-21, signed, 22,772 records"),
];
/// The edges' hosts.
pub(crate) const EDGES: [&str; 3] = ["edge1", "edge2", "edge3"];
/// The clients' hosts.
pub(crate) const CLIENTS: [&str; 2] = ["client1", "client2"];
/// Signing, and the transfer of a zone, may take this long.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// Everything that runs.
pub(crate) struct Scene {
    pub(crate) edges: Vec<Running>,
    pub(crate) origin: Named,
    pub(crate) arrivals: Counters,
    pub(crate) key: TsigKey,
    pub(crate) net: Network,
    pub(crate) lab: Lab,
    edges_started: Instant,
}

impl Scene {
    pub(crate) fn build(subject: Subject) -> anyhow::Result<Scene> {
        if subject == Subject::Parapet {
            parapet_binary()?;
        }
        let lab = Lab::new("hidden-origin")?;
        let net = lab.build(&topologies::hidden_origin())?;
        let addresses =
            |hosts: &[&str]| -> Vec<IpAddr> { hosts.iter().flat_map(|host| net.host(host).addresses()).collect() };
        let arrivals = Counters::of_arrivals(
            net.host("origin"),
            &[("clients", addresses(&CLIENTS)), ("edges", addresses(&EDGES))],
        )?;
        let key = TsigKey::generate(&lab, "parapet")?;
        let mut origin = Named::at(net.host("origin"))
            .key(&key)
            .zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic())
            .zone(ZoneSpec::text(SIGNED, zone_text::small(SIGNED)).signed(Dnssec::Nsec3))
            .zone(ZoneSpec::text(".", zone_text::root()?));
        for edge in EDGES {
            origin = origin.notify(net.host(edge).v4());
        }
        let origin = origin.start()?;
        wait_for_signatures(&net, &origin)?;
        let edges_started = Instant::now();
        let edges = EDGES
            .into_iter()
            .map(|edge| {
                subject.start(&Secondary {
                    host: net.host(edge),
                    origin: origin.v4(),
                    key: &key,
                    zones: &ZONES.map(|(zone, _)| zone),
                    listen: None,
                    lanes: None,
                    core: None,
                    keeps: true,
                })
            })
            .collect::<Result<_, LabError>>()?;
        Ok(Scene { edges, origin, arrivals, key, net, lab, edges_started })
    }

    /// Wait until every edge serves every zone; `arrived` is told of each with the time since the edges were started
    /// and its serial.
    pub(crate) fn wait_for_zones(&self, mut arrived: impl FnMut(&str, &str, (Duration, u32))) -> anyhow::Result<()> {
        for (zone, _) in ZONES {
            let times = self.at_each_edge(|client, server| {
                let serial = dns::wait_for_serial(client, server, zone, 1, READY_DEADLINE)?;
                Ok((self.edges_started.elapsed(), serial))
            })?;
            for (edge, time) in EDGES.into_iter().zip(times) {
                arrived(edge, zone, time);
            }
        }
        Ok(())
    }

    /// Do the same at all edges at once, asking from the first client; the results in the edges' order.
    pub(crate) fn at_each_edge<T: Send>(
        &self,
        work: impl Fn(&parapet_lab::Namespace, IpAddr) -> anyhow::Result<T> + Sync,
    ) -> anyhow::Result<Vec<T>> {
        let client = self.net.host(CLIENTS[0]);
        thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = EDGES
                .into_iter()
                .map(|edge| {
                    let server = self.net.host(edge).v4();
                    scope.spawn(move || work(client, server))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow!("a thread of the demonstration panicked"))?)
                .collect()
        })
    }
}

/// The signed zone is worth transferring once it is signed.
fn wait_for_signatures(net: &Network, origin: &Named) -> Result<(), LabError> {
    let host = net.host("origin");
    until(format!("named to sign {SIGNED}"), READY_DEADLINE, || {
        let reply = dns::ask(host, origin.v4(), SIGNED, dns::Rtype(51)).ok()?;
        (!reply.answers.is_empty()).then_some(())
    })
}
