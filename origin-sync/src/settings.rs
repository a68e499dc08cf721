//! What the configuration says about zones and their origins, in the form that the work needs.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::{Name, NameBox};
use zones::Zone;

use crate::error::Error;
use crate::machine;
use crate::notify::unix_now_s;
use crate::timers::{Clamps, SoaTimers};
use crate::tls::TlsClient;
use crate::transfer::Limits;
use crate::tsig::Key;

/// An origin with its key. Two are equal when the configuration says the same of both.
#[derive(Debug)]
pub(crate) struct OriginSettings {
    /// As configured.
    pub config: config::Origin,
    /// The key that signs what is sent to it.
    pub key: Option<Key>,
    /// TLS towards it, where it is configured.
    pub tls: Option<TlsClient>,
    /// Our own node's name, which no copy of another node may have come through.
    pub own_node: Arc<str>,
    key_config: Option<config::Key>,
}

impl PartialEq for OriginSettings {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.key_config == other.key_config && self.tls == other.tls
    }
}

impl OriginSettings {
    /// The node that it is, if it is another node of the network.
    pub(crate) fn node(&self) -> Option<&str> {
        self.config.name.strip_prefix(config::UPSTREAM_PREFIX)
    }
}

/// One address of one origin of a zone.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// The origin.
    pub origin: Arc<OriginSettings>,
    /// The address.
    pub address: SocketAddr,
}

impl Upstream {
    /// The origin's name in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.origin.config.name
    }

    /// The address that requests leave from, when one is configured.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        let source = if self.address.is_ipv4() { self.origin.config.source_v4 } else { self.origin.config.source_v6 };
        source.map(|source| SocketAddr::new(source, 0))
    }
}

/// One zone. Two are equal when the configuration says the same of both. Of all but its name the members of a catalog
/// share what they have: there may be very many.
#[derive(Clone, Debug)]
pub(crate) struct ZoneSettings {
    /// The zone's apex, in lower case.
    pub apex: NameBox,
    /// The same as text, as status and logs have it.
    pub name: Box<str>,
    /// As configured. The name in it is empty for members of catalogs.
    pub config: Arc<config::Zone>,
    /// Its origins in the configured order.
    pub origins: Arc<[Arc<OriginSettings>]>,
    /// Every address of every origin.
    pub upstreams: Arc<[Upstream]>,
    /// Whether it is a catalog zone: it is kept like any other, and nobody is answered from it.
    pub is_catalog: bool,
    /// How long a new copy must have been known before it is published; zero: not at all.
    pub delay: Duration,
}

/// A catalog: how its own zone is kept, and what its members are. Two are equal when the configuration says the same of
/// both.
#[derive(Debug, PartialEq)]
pub(crate) struct CatalogSettings {
    /// Its own zone.
    pub zone: Arc<ZoneSettings>,
    /// Zones that it may list.
    pub members_max: u64,
    /// What members are, in the place of a zone without a name.
    template: ZoneSettings,
    /// The same for members of a group.
    groups: BTreeMap<String, ZoneSettings>,
}

impl CatalogSettings {
    /// What a member is: of its groups, the first that the configuration knows decides.
    pub(crate) fn member(&self, zone: &NameBox, groups: &[Box<[u8]>]) -> ZoneSettings {
        let known = |group: &[u8]| self.groups.get(std::str::from_utf8(group).ok()?);
        let template = groups.iter().find_map(|group| known(group)).unwrap_or(&self.template);
        ZoneSettings { apex: zone.clone(), name: zone.to_string().into(), ..template.clone() }
    }
}

impl PartialEq for ZoneSettings {
    fn eq(&self, other: &Self) -> bool {
        let same_config = Arc::ptr_eq(&self.config, &other.config) || self.config == other.config;
        let same_origins = Arc::ptr_eq(&self.origins, &other.origins) || self.origins == other.origins;
        let same_delay = self.delay == other.delay;
        self.apex == other.apex && same_delay && self.is_catalog == other.is_catalog && same_config && same_origins
    }
}

impl ZoneSettings {
    /// What the zone's state machine has to know.
    pub(crate) fn machine(&self) -> machine::Settings {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let timers = &self.config.timers;
        let clamps = Clamps {
            refresh: (seconds(timers.refresh_s_min), seconds(timers.refresh_s_max)),
            retry: (seconds(timers.retry_s_min), seconds(timers.retry_s_max)),
            expire: (seconds(timers.expire_s_min), seconds(timers.expire_s_max)),
            jitter_percent: timers.jitter_percent,
        };
        let pull = (self.config.mode == config::Mode::Pull).then(|| seconds(self.config.pull_interval_s.max(1)));
        let nodes = self.upstreams.iter().take_while(|upstream| upstream.origin.node().is_some()).count();
        let dormant = self.is_on_demand();
        machine::Settings { clamps, upstreams: self.upstreams.len(), nodes, ixfr: self.config.ixfr, pull, dormant }
    }

    /// Whether the zone is filled on demand.
    pub(crate) fn is_on_demand(&self) -> bool {
        self.config.mode == config::Mode::OnDemand
    }

    /// Whether there may be a copy of the whole zone.
    pub(crate) fn may_be_whole(&self) -> bool {
        !self.is_on_demand() || self.config.on_demand.whole_records_max > 0
    }

    /// What a zone cannot change without beginning anew: whether it is filled on demand, and whether there is a copy.
    pub(crate) fn way_of_keeping(&self) -> (bool, bool) {
        (self.is_on_demand(), self.may_be_whole())
    }

    /// When a copy counts as confirmed, for the disk: now, or as much earlier as the origin's own copy is good for less
    /// than a primary's would be (RFC 7314), so that a restart does not prolong it.
    pub(crate) fn confirmed_unix_s(&self, zone: &Zone, expire_s: Option<u32>) -> u64 {
        let full = self.machine().clamps.expire(&SoaTimers::of(zone));
        let good_for = expire_s.map_or(full, |seconds| Duration::from_secs(u64::from(seconds)).min(full));
        unix_now_s().saturating_sub((full - good_for).as_secs())
    }

    /// Bounds on what an origin may send.
    pub(crate) fn limits(&self) -> Limits {
        let config::TransferLimits { records_max, bytes_max, .. } = self.config.transfer;
        let whole_max = if self.is_on_demand() { self.config.on_demand.whole_records_max } else { u64::MAX };
        Limits { records_max: records_max.min(whole_max), bytes_max }
    }

    /// The longest that a transfer may take.
    pub(crate) fn duration_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.transfer.duration_s_max))
    }

    /// The longest silence within a transfer.
    pub(crate) fn idle_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.transfer.idle_s_max))
    }
}

/// Resolves the zones of a configuration with their origins and keys.
///
/// # Errors
/// [`Error::Configuration`] for a zone without an address to ask, or a name that does not resolve; a configuration that
/// came through `config`'s checks has none of these.
pub(crate) fn resolve(config: &config::Config) -> Result<Vec<Arc<ZoneSettings>>, Error> {
    let origins = resolve_origins(config)?;
    config.zones.iter().map(|zone| resolve_zone(zone, &origins, delay(config)).map(Arc::new)).collect()
}

/// Resolves the catalogs of a configuration, with what their members are.
///
/// # Errors
/// As of [`resolve`].
pub(crate) fn resolve_catalogs(config: &config::Config) -> Result<Vec<Arc<CatalogSettings>>, Error> {
    let origins = resolve_origins(config)?;
    let delay = delay(config);
    config.catalogs.iter().map(|catalog| resolve_catalog(catalog, &origins, delay).map(Arc::new)).collect()
}

/// How long new copies are held.
fn delay(config: &config::Config) -> Duration {
    Duration::from_secs(u64::from(config.node.delay_s))
}

fn resolve_catalog(
    catalog: &config::Catalog,
    origins: &HashMap<&str, Arc<OriginSettings>>,
    delay: Duration,
) -> Result<CatalogSettings, Error> {
    let own = config::Zone {
        name: catalog.name.clone(),
        origins: catalog.origins.clone(),
        timers: catalog.timers.clone(),
        transfer: catalog.transfer.clone(),
        ixfr: catalog.ixfr,
        zonemd: catalog.zonemd,
        ..config::Zone::default()
    };
    let zone = ZoneSettings { is_catalog: true, ..resolve_zone(&own, origins, delay)? };
    let template = |template: &config::Zone| {
        let of_catalog = config::Zone { name: ".".into(), catalog: Some(catalog.name.clone()), ..template.clone() };
        let resolved = resolve_zone(&of_catalog, origins, delay)?;
        let nameless = config::Zone { name: String::new(), ..of_catalog };
        Ok::<_, Error>(ZoneSettings { config: Arc::new(nameless), ..resolved })
    };
    let groups = catalog.groups.iter().map(|(value, group)| Ok((value.clone(), template(group)?)));
    Ok(CatalogSettings {
        zone: Arc::new(zone),
        members_max: catalog.members_max,
        template: template(&catalog.template)?,
        groups: groups.collect::<Result<_, Error>>()?,
    })
}

fn resolve_origins(config: &config::Config) -> Result<HashMap<&str, Arc<OriginSettings>>, Error> {
    let mut origins = HashMap::new();
    for (name, origin) in &config.origins {
        origins.insert(name.as_str(), Arc::new(resolve_origin(config, origin)?));
    }
    Ok(origins)
}

fn resolve_origin(config: &config::Config, origin: &config::Origin) -> Result<OriginSettings, Error> {
    let wrong = |why: String| Error::Configuration { item: format!("origin {}", origin.name), why };
    let key_config = match &origin.key {
        None => None,
        Some(name) => Some(config.keys.get(name).ok_or_else(|| wrong(format!("there is no key {name}")))?),
    };
    if origin.addresses.is_empty() {
        return Err(wrong("it has no address".into()));
    }
    Ok(OriginSettings {
        config: origin.clone(),
        key: key_config.map(Key::new).transpose()?,
        tls: origin.tls.as_ref().map(|tls| TlsClient::load(&origin.name, tls)).transpose()?,
        own_node: config.node.name.as_str().into(),
        key_config: key_config.cloned(),
    })
}

fn resolve_zone(
    zone: &config::Zone,
    origins: &HashMap<&str, Arc<OriginSettings>>,
    delay: Duration,
) -> Result<ZoneSettings, Error> {
    let wrong = |why: String| Error::Configuration { item: format!("zone {}", zone.name), why };
    let apex: Name = zone.name.parse().map_err(|error| wrong(format!("{error}")))?;
    let found: Result<Vec<_>, _> = zone
        .origins
        .iter()
        .map(|name| origins.get(name.as_str()).cloned().ok_or_else(|| wrong(format!("there is no origin {name}"))))
        .collect();
    let found = found?;
    let address = |origin: &Arc<OriginSettings>, &address| Upstream { origin: Arc::clone(origin), address };
    let upstreams: Arc<[_]> =
        found.iter().flat_map(|origin| origin.config.addresses.iter().map(move |a| address(origin, a))).collect();
    if upstreams.is_empty() {
        return Err(wrong("it has no origin".into()));
    }
    Ok(ZoneSettings {
        apex: NameBox::from(&apex),
        name: zone.name.as_str().into(),
        config: Arc::new(zone.clone()),
        origins: found.into(),
        upstreams,
        is_catalog: false,
        delay,
    })
}
