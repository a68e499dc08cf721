//! Metrics of the catalogs: what they list, and whether they are followed.

use std::fmt;
use std::sync::Arc;

use origin_sync::CatalogStatus;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::node_view::NodeView;

#[derive(Debug)]
pub(super) struct CatalogCollector(pub(super) Arc<NodeView>);

/// A figure of a catalog, and what it is.
type Figure = (&'static str, &'static str, fn(&CatalogStatus) -> u64);

const FIGURES: [Figure; 4] = [
    ("catalog_members", "Zones that the catalog lists", |catalog| catalog.members),
    ("catalog_zones", "Zones that are served because the catalog lists them", |catalog| catalog.owned),
    ("catalog_clashes", "Zones that the catalog lists and that are somebody else's", |catalog| catalog.clashes),
    ("catalog_pending", "Zones still to be taken out or put in, of all catalogs", |catalog| catalog.pending),
];

impl Collector for CatalogCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let catalogs = self.0.services.catalogs();
        if catalogs.is_empty() {
            return Ok(());
        }
        let gauge = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        for (name, about, figure) in FIGURES {
            let mut family = encoder.encode_descriptor(name, about, None, MetricType::Gauge)?;
            for catalog in &catalogs {
                gauge(figure(catalog)).encode(family.encode_family(&[("catalog", catalog.catalog.as_str())])?)?;
            }
        }
        let about = "1 for a catalog whose latest copy is broken and is not followed, with the reason";
        let mut family = encoder.encode_descriptor("catalog_broken", about, None, MetricType::Gauge)?;
        for catalog in &catalogs {
            let reason = catalog.last_error_kind.as_deref().unwrap_or("");
            let labels = [("catalog", catalog.catalog.as_str()), ("reason", reason)];
            gauge(u64::from(!reason.is_empty())).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
