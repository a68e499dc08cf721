//! Where attacks take place: a server between its clients and its origin, with routes for sources that are anybody's.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use super::{
    NETWORK, Spec,
    questions::{SIGNED, SIGNED_NAMES, ZONE, signed, zone},
};
use crate::{
    Dnssec, Lab, LabError, Lanes, Named, Namespace, Network, Rank, Receiver, Rtype, Server, Topology, TsigKey,
    ZoneSpec, counters::Counters, dns, until,
};

/// The server that is attacked has this core for itself.
pub const SERVER_CORE: usize = 1;
/// Everything else runs on this one: attack, real clients, origin.
pub const CLIENT_CORE: usize = 0;
/// The client's interface towards the server, and the server's towards the clients.
const TO_SERVER: &str = "server";
const TO_CLIENTS: &str = "client";
/// The origin has signed its zone within this time, and a server has its copies.
pub(super) const READY_DEADLINE: Duration = Duration::from_secs(60);
/// RFC 4034 §4.
const NSEC: Rtype = Rtype(47);
/// The label of the counter of what the origin is asked.
const QUESTIONS: &str = "questions";

/// The network with its origin, and nothing at the server yet.
pub struct Ground {
    net: Network,
    origin: Named,
    key: TsigKey,
    questions: Counters,
    cores: bool,
    lanes: Lanes,
    receiver: Option<Receiver>,
    lab: Lab,
}

impl Ground {
    /// Build it. With two cores or more, the server is to have [`SERVER_CORE`], the real clients, the attack and the origin
    /// [`CLIENT_CORE`]; see [`super::keep_to`] for all else.
    pub fn build(name: &str) -> Result<Ground, LabError> {
        // Not those that this thread is kept to, but those that there are.
        let cores = std::fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.lines().filter(|line| line.starts_with("processor")).count() > 1);
        Ground::with_cores(name, cores)
    }

    /// Build it for servers that nobody measures: everything runs wherever there is room.
    pub fn on_any_core(name: &str) -> Result<Ground, LabError> {
        Ground::with_cores(name, false)
    }

    fn with_cores(name: &str, cores: bool) -> Result<Ground, LabError> {
        let lab = Lab::new(name)?;
        let net = lab.build(&topology())?;
        let (server, client) = (net.host("server"), net.host("client"));
        // Sources are forged: nobody may ask whether the way back is the way they came.
        for (host, interfaces) in [(server, ["client", "origin"].as_slice()), (client, &["server"])] {
            for interface in interfaces.iter().chain(&["all"]) {
                host.sysctl(&format!("net/ipv4/conf/{interface}/rp_filter"), "0")?;
            }
        }
        client.own_prefix(NETWORK.0, NETWORK.1)?;
        server.route(Ipv4Addr::UNSPECIFIED.into(), 0, client.v4())?;
        let key = TsigKey::generate(&lab, "ground")?;
        let questions = Counters::of_arrivals(net.host("origin"), &[(QUESTIONS, server.addresses())])?;
        let origin = Named::at(net.host("origin"))
            .key(&key)
            .zone(ZoneSpec::text(ZONE, zone()))
            .zone(ZoneSpec::text(SIGNED, signed()).signed(Dnssec::Nsec))
            .core(cores.then_some(CLIENT_CORE))
            .start()?;
        let ground = Ground { net, origin, key, questions, cores, lanes: Lanes::Sockets, receiver: None, lab };
        ground.wait_until_signed()?;
        Ok(ground)
    }

    /// Have Parapet answer by these lanes. With the kernel lane, what arrives at either end of the clients' wire is worked on by
    /// the core of that end, whoever the server is: else attackers would pay for what the server's kernel does.
    pub fn lanes(mut self, lanes: Lanes) -> Result<Ground, LabError> {
        self.lanes = lanes;
        if lanes == Lanes::Kernel {
            self.client().take_xdp(TO_SERVER)?;
            if self.cores {
                self.client().receive_on(TO_SERVER, CLIENT_CORE, Rank::Interrupt)?;
                self.receiver = Some(self.server().receive_on(TO_CLIENTS, SERVER_CORE, Rank::Prompt)?);
            }
        }
        Ok(self)
    }

    /// The section of a network file that has the server use its lanes, if it needs one.
    pub fn lanes_section(&self, node: &str) -> String {
        self.lanes.section(node, TO_CLIENTS)
    }

    /// Processor time that receiving for the server has used, where somebody does it for it.
    pub fn receiving(&self) -> Result<Duration, LabError> {
        self.receiver.as_ref().map_or(Ok(Duration::ZERO), Receiver::run_time)
    }

    fn wait_until_signed(&self) -> Result<(), LabError> {
        let origin = self.net.host("origin");
        let mut client = dns::Client::new(origin, (self.origin.v4(), dns::PORT).into())?;
        // The last name's NSEC record: the chain is complete.
        let last = format!("n{:06}.{SIGNED}", SIGNED_NAMES - 1);
        until(format!("{SIGNED} to be signed"), READY_DEADLINE, || {
            let reply = client.ask_once(&last, NSEC, Duration::from_millis(500))?;
            (!reply.answers.is_empty()).then_some(())
        })
    }

    /// The lab it is in.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Where the server runs. Its first address is on the clients' wire, the second one on the origin's.
    pub fn server(&self) -> &Namespace {
        self.net.host("server")
    }

    /// Where clients and attackers are. Its interface towards the server is called `server`.
    pub fn client(&self) -> &Namespace {
        self.net.host("client")
    }

    /// The origin of the zones.
    pub fn origin(&self) -> &Named {
        &self.origin
    }

    /// The key for transfers.
    pub fn key(&self) -> &TsigKey {
        &self.key
    }

    /// The zones.
    pub fn zones(&self) -> [&'static str; 2] {
        [ZONE, SIGNED]
    }

    /// Where the server answers.
    pub fn address(&self) -> SocketAddrV4 {
        let address = match self.server().v4() {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        SocketAddrV4::new(address, dns::PORT)
    }

    /// The server's hardware address on the clients' wire.
    pub fn server_hardware(&self) -> Result<[u8; 6], LabError> {
        self.server().hardware_address("client")
    }

    /// The core that the server is to run on, where there are two.
    pub fn server_core(&self) -> Option<usize> {
        self.cores.then_some(SERVER_CORE)
    }

    /// The core for everything else, where there are two.
    pub fn client_core(&self) -> Option<usize> {
        self.cores.then_some(CLIENT_CORE)
    }

    /// Packets that the server has sent to its origin so far.
    pub fn origin_packets(&self) -> Result<u64, LabError> {
        self.questions.packets(QUESTIONS)
    }

    /// Real clients of the server, to be started.
    pub fn clients(&self) -> Spec {
        Spec::new(self.client(), self.address()).core(self.client_core())
    }

    /// Wait until a server answers for all zones, the signed one with signatures.
    pub fn wait_for(&self, server: &Server) -> Result<(), LabError> {
        self.zones().into_iter().try_for_each(|zone| server.wait_for_zone(zone, 1, READY_DEADLINE).map(|_| ()))
    }
}

/// A wire to the clients, another to the origin.
fn topology() -> Topology {
    Topology::new("ground", "a server between its clients and its origin")
        .host("server")
        .host("client")
        .host("origin")
        .link("server", "client", 1)
        .link("server", "origin", 2)
}
