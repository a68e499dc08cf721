//! The lab's internet as a ground: its sites and regions, with wires that lose nothing by themselves.

use super::{Ground, Seat, Service, Uplink, ZONE};
use crate::{
    Lab, LabError, Named, TsigKey, ZoneSpec,
    internet::{
        EdgeHost, Internet, Plan, Region,
        plan::{MANAGEMENT, OPERATOR_AS},
    },
    prober, zone_text,
};

/// The ground, with what is alive on it.
pub struct World {
    /// Where the edges can stand.
    pub ground: Ground,
    /// The origin.
    pub origin: Named,
    /// The internet.
    pub internet: Internet,
}

/// Build it, with its routers and the origin; a client of each region asks.
pub fn world(lab: &Lab) -> Result<World, LabError> {
    let mut plan = Plan::standard();
    for line in &mut plan.lines {
        // What is lost is to be lost by the failure.
        line.quality.loss = 0.0;
        line.quality.jitter = std::time::Duration::ZERO;
    }
    let mut internet = Internet::build_plan(lab, plan)?;
    let key = TsigKey::generate(lab, "transfer")?;
    let notified = internet.edges().iter().map(|edge| edge.management_addresses[0]);
    let origin = notified.fold(Named::at(internet.origin()).key(&key), |origin, edge| origin.notify(edge));
    let origin = origin.zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start()?;
    internet.start_routers()?;
    let service = Service::default();
    let regions = Region::ALL.map(|region| prober::Region {
        name: region.to_string(),
        namespace: internet.client(region).namespace.clone(),
        addresses: service.addresses(),
    });
    let seats = internet.edges().iter().map(seat).collect::<Result<Vec<_>, _>>()?;
    let ground = Ground { regions: regions.to_vec(), seats, service, origin: origin.v4(), key };
    Ok(World { ground, origin, internet })
}

fn seat(edge: &EdgeHost) -> Result<Seat, LabError> {
    let uplink = Uplink::new(&edge.site, edge.router_as, &edge.router_addresses, &edge.addresses);
    let uplink = uplink.ok_or_else(|| LabError::Invalid(format!("{} has no uplink", edge.name)))?;
    Ok(Seat {
        name: edge.name.clone(),
        host: edge.namespace.clone(),
        local_as: OPERATOR_AS,
        uplinks: vec![uplink],
        origin_interface: MANAGEMENT.to_owned(),
    })
}
