//! A small internet: sites with edges, the routers of providers, clients in three parts of the world, and a hidden origin.
//!
//! | region | sites and edges | routers of providers | clients |
//! | --- | --- | --- | --- |
//! | europe | `ams` (`ams-1`, `ams-2`), `fra` (`fra-1`) | `arbor-eu`, `birch-eu` | `europe-1` of arbor, `europe-2` of birch |
//! | america | `nyc` (`nyc-1`), `sjc` (`sjc-1`) | `arbor-us`, `birch-us`, `cedar-us` | `america-1` of arbor, `america-2` of cedar |
//! | asia | `sin` (`sin-1`) | `arbor-as`, `cedar-as` | `asia-1` of cedar, `asia-2` of arbor |
//!
//! A provider's routers are joined by lines under the oceans, and providers that are in the same region peer there. A site
//! is the customer of two or three providers. [`Internet::map`] says it with the delays.
//!
//! [`Plan`] describes it, [`Internet`] is it: namespaces, wires, addresses, and twelve BIRDs (`bird` writes their
//! configurations). All edges announce the same prefixes, each to the router of its site, over IPv4 and IPv6, with BFD; the
//! routers carry that on, valley-free. Two edges at one site share its packets by ECMP. The origin is on a network of its
//! own, which the edges are on too and the internet knows nothing of.
//!
//! [`Fleet`] are the edges in it, as Parapet: one network file for all, an origin, and what can befall an edge ([`Fault`]).

mod bird;
mod build;
mod fleet;
mod map;
mod network_file;
pub mod plan;

use std::{net::IpAddr, time::Duration};

use crate::{Lab, LabError, Namespace, Wire, routers::Bird, until};

pub use fleet::{Fault, Fleet, FleetBuilder, ZONE};
pub use network_file::{API_PORT, FLEET_PORT, NetworkFile};
pub use plan::{Plan, Purpose, Region};

/// What the standard internet is called among the topologies.
pub const NAME: &str = "internet";
/// What it is for.
pub const ABOUT: &str =
    "five sites with six edges, three providers' BIRD routers, clients in three regions, an origin only edges reach";

/// All sessions between routers are to be established, and all networks known everywhere, within this time.
const CONVERGED_DEADLINE: Duration = Duration::from_secs(60);

/// A client's host.
#[derive(Clone)]
pub struct ClientHost {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: Region,
    /// Whose customer it is.
    pub provider: String,
    /// Its namespace.
    pub namespace: Namespace,
}

/// An edge's host.
#[derive(Clone)]
pub struct EdgeHost {
    /// Its name.
    pub name: String,
    /// The site, and the name of the router there.
    pub site: String,
    /// Where it is.
    pub region: Region,
    /// Its namespace; its first addresses are the unicast ones, by which the internet reaches it alone.
    pub namespace: Namespace,
    /// Its addresses towards the router, which are its unicast addresses: IPv4, IPv6.
    pub addresses: [IpAddr; 2],
    /// The router's addresses towards it: IPv4, IPv6.
    pub router_addresses: [IpAddr; 2],
    /// The router's autonomous system.
    pub router_as: u32,
    /// Its addresses on the management network: IPv4, IPv6.
    pub management_addresses: [IpAddr; 2],
    /// The wire to the router.
    pub uplink: Wire,
    /// The wire to the management network.
    pub management: Wire,
}

/// The internet, built.
pub struct Internet {
    plan: Plan,
    hosts: Vec<Namespace>,
    wires: Vec<Wire>,
    clients: Vec<ClientHost>,
    edges: Vec<EdgeHost>,
    routers: Vec<Bird>,
}

impl Internet {
    /// Build the standard one in `lab`: hosts, wires, addresses. Routers are started by [`Internet::start_routers`].
    pub fn build(lab: &Lab) -> Result<Internet, LabError> {
        Internet::build_plan(lab, Plan::standard())
    }

    /// Build another one.
    pub fn build_plan(lab: &Lab, plan: Plan) -> Result<Internet, LabError> {
        build::build(lab, plan)
    }

    /// Start a BIRD on every router and wait until all know the networks of all sites and clients.
    pub fn start_routers(&mut self) -> Result<(), LabError> {
        let names: Vec<String> = self.router_names().collect();
        for name in &names {
            let bird = Bird::at(self.host(name)).config(&bird::configuration(&self.plan, name)).start()?;
            self.routers.push(bird);
        }
        let deadline = CONVERGED_DEADLINE;
        for (name, router) in names.iter().zip(&self.routers) {
            for session in bird::sessions(&self.plan, name) {
                until(format!("{name} to have its session {session}"), deadline, || {
                    router.is_established(&session).then_some(())
                })?;
            }
        }
        let networks = self.plan.sites.len() + self.plan.clients.len();
        for (name, router) in names.iter().zip(&self.routers) {
            for table in ["master4", "master6"] {
                until(format!("{name} to know {networks} networks in {table}"), deadline, || {
                    router.networks(table).is_ok_and(|known| known >= networks).then_some(())
                })?;
            }
        }
        Ok(())
    }

    /// What is where and how far apart, in lines for people.
    pub fn map(&self) -> String {
        map::draw(&self.plan)
    }

    /// What it was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The clients, in the plan's order.
    pub fn clients(&self) -> &[ClientHost] {
        &self.clients
    }

    /// The configuration of a BIRD that announces the service at an edge whatever happens, with BFD and these communities:
    /// for tests of the internet alone, and to build peers from. The service's addresses are another matter.
    ///
    /// # Panics
    /// Where there is no edge of that name: a mistake in the calling program.
    pub fn stand_in(&self, edge: &str, communities: &[(u16, u16)]) -> String {
        bird::stand_in(self.edge(edge), communities)
    }

    /// The first client of a region.
    ///
    /// # Panics
    /// Where the region has no client: a mistake in the plan.
    pub fn client(&self, region: Region) -> &ClientHost {
        let found = self.clients.iter().find(|client| client.region == region);
        found.unwrap_or_else(|| panic!("the plan has no client in {region}"))
    }

    /// The edges, in the plan's order.
    pub fn edges(&self) -> &[EdgeHost] {
        &self.edges
    }

    /// An edge.
    ///
    /// # Panics
    /// Where there is no edge of that name: a mistake in the calling program.
    pub fn edge(&self, name: &str) -> &EdgeHost {
        self.edges.iter().find(|edge| edge.name == name).unwrap_or_else(|| panic!("the plan has no edge {name:?}"))
    }

    /// A running router, by its name as in `ams` or `arbor-eu`.
    ///
    /// # Panics
    /// Where none of that name was started: a mistake in the calling program.
    pub fn router(&self, name: &str) -> &Bird {
        let found = self.routers.iter().find(|router| router.namespace().name() == name);
        found.unwrap_or_else(|| panic!("no router {name:?} was started"))
    }

    /// The host of the hidden origin.
    pub fn origin(&self) -> &Namespace {
        self.host(plan::ORIGIN)
    }

    /// Any host by its name.
    ///
    /// # Panics
    /// Where the plan has no host of that name: a mistake in the calling program.
    pub fn host(&self, name: &str) -> &Namespace {
        self.hosts.iter().find(|host| host.name() == name).unwrap_or_else(|| panic!("the plan has no host {name:?}"))
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Namespace] {
        &self.hosts
    }

    /// The wires of a kind between two hosts.
    pub fn wire(&self, first: &str, second: &str) -> Option<&Wire> {
        let joins = |line: &plan::Line| {
            (line.first == first && line.second == second) || (line.first == second && line.second == first)
        };
        self.plan.lines.iter().position(joins).and_then(|line| self.wires.get(line))
    }

    /// The service's addresses: IPv4, IPv6.
    pub fn service(&self) -> [IpAddr; 2] {
        plan::SERVICE_ADDRESSES.map(|address| address.parse().unwrap_or(IpAddr::from([0; 4])))
    }

    /// Wait until the router of `edge`'s site has (or has not) a route to the service by that edge, in both families.
    pub fn wait_for_route(&self, edge: &str, wanted: bool, deadline: Duration) -> Result<(), LabError> {
        let host = self.edge(edge);
        let router = self.router(&host.site);
        for (family, prefix) in ["ipv4", "ipv6"].into_iter().zip(plan::SERVICE_PREFIXES) {
            let session = bird::session(edge, family);
            let state = if wanted { "to announce" } else { "to withdraw" };
            until(format!("{edge} {state} {prefix}"), deadline, || {
                let routes = router.routes(&format!("for {prefix} protocol {session}")).unwrap_or_default();
                (routes.is_empty() != wanted).then_some(())
            })?;
        }
        Ok(())
    }

    fn router_names(&self) -> impl Iterator<Item = String> {
        let sites = self.plan.sites.iter().map(|site| site.name.clone());
        sites.chain(self.plan.provider_routers().map(|(name, _, _)| name))
    }
}
