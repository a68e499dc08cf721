//! What the neighbour has been told in this session, and what it must still be told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::RouteAttributes;
use ipnet::IpNet;
use netgauze_bgp_pkt::iana::RouteRefreshSubcode;

use crate::adverts::{Adverts, Cause};
use crate::bgp::announce::{Style, announce, end_of_rib, refresh_mark, withdraw};
use crate::bgp::nlri::{Family, PerFamily};
use crate::bgp::open::Agreed;

/// All routes of a family are sent again no more often than this: a neighbour that asks all the time makes no more work.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// When a family was sent again last, and when it will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refresh {
    last: Option<Instant>,
    due: Option<Instant>,
}

/// What has been announced in a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Announced {
    sent: BTreeMap<IpNet, Arc<RouteAttributes>>,
    end_of_rib_sent: PerFamily<bool>,
    /// Until when End-of-RIB may wait for a node that has just started.
    early_until: Option<Instant>,
    refresh: PerFamily<Refresh>,
}

/// How the session writes its routes; `None` for a family that it cannot announce.
pub(super) type Styles = PerFamily<Option<Style>>;

impl Announced {
    /// For a session that begins; `early_until` where routers may have kept routes over a restart.
    pub(super) fn new(early_until: Option<Instant>) -> Self {
        Self { early_until, ..Self::default() }
    }

    pub(super) fn prefixes(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn prefixes_of(&self, family: Family) -> usize {
        self.sent.keys().filter(|prefix| Family::of(prefix) == family).count()
    }

    /// The difference between what was said and what is to be said, withdrawals first; then, once in a session, that
    /// this was all.
    pub(super) fn tell(&mut self, adverts: &Adverts, styles: &Styles, agreed: Agreed, now: Instant) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        for family in Family::ALL {
            let Some(style) = styles.get(family) else { continue };
            let gone = |prefix: &IpNet| Family::of(prefix) == family && !adverts.routes.contains_key(prefix);
            let gone: Vec<_> = self.sent.keys().copied().filter(gone).collect();
            messages.extend(self.withdraw(family, &gone, &style));
        }
        for family in Family::ALL {
            let Some(style) = styles.get(family) else { continue };
            for (route, prefixes) in self.changed(family, adverts) {
                messages.extend(self.announce(family, &route, &prefixes, &style));
            }
        }
        // While a node that has just started is not yet able to answer, routers that kept its routes shall go on doing
        // so: End-of-RIB would end that (RFC 4724 §4.2). Not forever: it may never be.
        self.early_until = self.early_until.filter(|&until| adverts.cause == Cause::Starting && now < until);
        if self.early_until.is_some() {
            return messages;
        }
        for family in Family::ALL {
            if agreed.families.get(family) && !self.end_of_rib_sent.get(family) {
                self.end_of_rib_sent.set(family, true);
                messages.push(end_of_rib(family));
            }
        }
        messages
    }

    fn withdraw(&mut self, family: Family, prefixes: &[IpNet], style: &Style) -> Vec<Vec<u8>> {
        self.sent.retain(|prefix, _| !prefixes.contains(prefix));
        withdraw(family, prefixes, style)
    }

    /// Announces; what does not fit a message is withdrawn if it was announced before.
    fn announce(
        &mut self,
        family: Family,
        route: &Arc<RouteAttributes>,
        prefixes: &[IpNet],
        style: &Style,
    ) -> Vec<Vec<u8>> {
        if let Some(messages) = announce(family, prefixes, route, style) {
            self.sent.extend(prefixes.iter().map(|&prefix| (prefix, Arc::clone(route))));
            return messages;
        }
        let sent: Vec<_> = prefixes.iter().copied().filter(|prefix| self.sent.contains_key(prefix)).collect();
        self.withdraw(family, &sent, style)
    }

    /// Prefixes that are new or have new attributes, those with the same attributes together.
    fn changed(&self, family: Family, adverts: &Adverts) -> Vec<(Arc<RouteAttributes>, Vec<IpNet>)> {
        let mut groups: Vec<(Arc<RouteAttributes>, Vec<IpNet>)> = Vec::new();
        for (prefix, route) in &adverts.routes {
            let is_meant = Family::of(prefix) == family && !prefix.addr().is_multicast();
            if !is_meant || self.sent.get(prefix) == Some(route) {
                continue;
            }
            match groups.iter_mut().find(|(known, _)| known == route) {
                Some((_, prefixes)) => prefixes.push(*prefix),
                None => groups.push((Arc::clone(route), vec![*prefix])),
            }
        }
        groups
    }

    /// The neighbour asks for a family again (RFC 2918). The answer leaves with [`Self::refresh`].
    pub(super) fn request_refresh(&mut self, family: Family, now: Instant) {
        let Refresh { last, due } = self.refresh.get(family);
        let soonest = last.map_or(now, |last| now.max(last + REFRESH_INTERVAL));
        self.refresh.set(family, Refresh { last, due: Some(due.unwrap_or(soonest)) });
    }

    /// When something is due to be sent, though nothing has changed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let refreshes = Family::ALL.into_iter().filter_map(|family| self.refresh.get(family).due);
        refreshes.chain(self.early_until).min()
    }

    /// Sends what is due again, between marks where both sides know them (RFC 7313 §4).
    pub(super) fn refresh(&mut self, adverts: &Adverts, styles: &Styles, agreed: Agreed, now: Instant) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        for family in Family::ALL {
            if self.refresh.get(family).due.is_none_or(|due| due > now) {
                continue;
            }
            self.refresh.set(family, Refresh { last: Some(now), due: None });
            if agreed.enhanced_route_refresh {
                messages.push(refresh_mark(family, RouteRefreshSubcode::BeginningOfRouteRefresh));
            }
            self.sent.retain(|prefix, _| Family::of(prefix) != family);
            messages.extend(self.tell(adverts, styles, agreed, now));
            if agreed.enhanced_route_refresh {
                messages.push(refresh_mark(family, RouteRefreshSubcode::EndOfRouteRefresh));
            }
        }
        messages
    }
}
