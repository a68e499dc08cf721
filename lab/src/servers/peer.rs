//! What is common to NSD and Knot, as peers that Parapet is compared with or as origins in front of it: zones of their own
//! or from an origin, one core or all, who is notified.

use std::net::IpAddr;

use super::{TsigKey, ZoneSpec, zone::tidy};
use crate::Namespace;

/// What an NSD or a Knot is to be. Tuned as their manuals advise for one core: one process or worker for UDP.
#[must_use]
pub struct PeerBuilder<S> {
    pub(super) namespace: Namespace,
    pub(super) origin: Option<IpAddr>,
    pub(super) key: Option<TsigKey>,
    pub(super) own: Vec<ZoneSpec>,
    pub(super) secondary: Vec<String>,
    pub(super) catalog: Option<String>,
    pub(super) listed: Vec<String>,
    pub(super) options: String,
    pub(super) rate_limit: Option<u32>,
    pub(super) xdp: Option<String>,
    pub(super) core: Option<usize>,
    pub(super) listen: Vec<IpAddr>,
    pub(super) zone_files: bool,
    pub(super) notify: Vec<IpAddr>,
    pub(super) differences: bool,
    pub(super) kind: std::marker::PhantomData<S>,
}

impl<S> PeerBuilder<S> {
    pub(super) fn new(namespace: &Namespace) -> PeerBuilder<S> {
        PeerBuilder {
            namespace: namespace.clone(),
            origin: None,
            key: None,
            own: Vec::new(),
            secondary: Vec::new(),
            catalog: None,
            listed: Vec::new(),
            options: String::new(),
            rate_limit: None,
            xdp: None,
            core: None,
            listen: Vec::new(),
            zone_files: false,
            notify: Vec::new(),
            differences: false,
            kind: std::marker::PhantomData,
        }
    }

    /// Knot: be a consumer of the origin's catalog zone, and a secondary for its members.
    pub fn catalog(mut self, catalog: &str) -> Self {
        self.catalog = Some(tidy(catalog));
        self
    }

    /// NSD: be a secondary for these zones, too, as if they had been given to `nsd-control addzones` before: they share a
    /// pattern, and stand in its list of zones.
    pub fn listed(mut self, zones: impl IntoIterator<Item = String>) -> Self {
        self.listed.extend(zones);
        self
    }

    /// Where the zones of [`PeerBuilder::secondary`] come from.
    pub fn origin(mut self, address: IpAddr) -> Self {
        self.origin = Some(address);
        self
    }

    /// The key for transfers, in and out; without one, anybody may transfer the zones of [`PeerBuilder::zone`].
    pub fn key(mut self, key: &TsigKey) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Load a zone from a master file. Whether it is dynamic or to be signed is none of a peer's business.
    pub fn zone(mut self, zone: ZoneSpec) -> Self {
        self.own.push(zone);
        self
    }

    /// As an origin: send NOTIFY for the zones of [`PeerBuilder::zone`] to this address, unsigned.
    pub fn notify(mut self, address: IpAddr) -> Self {
        self.notify.push(address);
        self
    }

    /// As an origin: keep what changes in a zone that is replaced, and answer IXFR with it. Without, IXFR is answered as
    /// each server does that has no differences.
    pub fn differences(mut self) -> Self {
        self.differences = true;
        self
    }

    /// Be a secondary of the origin for this zone.
    pub fn secondary(mut self, zone: &str) -> Self {
        self.secondary.push(tidy(zone));
        self
    }

    /// A line more in the `server:` part of its configuration, as in `minimal-responses: no`.
    pub fn option(mut self, line: &str) -> Self {
        self.options.push_str("  ");
        self.options.push_str(line);
        self.options.push('\n');
        self
    }

    /// Limit the rate of its answers to so many a second for each prefix and kind, with DNS cookies so that who has one is
    /// exempt, all else as its manual recommends. Without, nothing is limited.
    pub fn rate_limit(mut self, per_s: u32) -> Self {
        self.rate_limit = Some(per_s);
        self
    }

    /// Knot: take the datagrams that arrive at this interface by XDP, before the network stack sees them; all else by sockets.
    pub fn xdp(mut self, interface: &str) -> Self {
        self.xdp = Some(interface.to_owned());
        self
    }

    /// Listen here alone instead of on all addresses of the namespace.
    pub fn listen(mut self, address: IpAddr) -> Self {
        self.listen.push(address);
        self
    }

    /// Write transferred zones to their files soon after a change, so that a restart finds them. (By default NSD would
    /// do so once an hour and Knot not at all, which spares them that work while changes are measured.)
    pub fn zone_files(mut self) -> Self {
        self.zone_files = true;
        self
    }

    /// Pin it to one core.
    pub fn core(mut self, core: Option<usize>) -> Self {
        self.core = core;
        self
    }

    pub(super) fn listen_addresses(&self) -> Vec<IpAddr> {
        if self.listen.is_empty() { self.namespace.addresses() } else { self.listen.clone() }
    }
}
