//! The zones of several nodes beside each other: who has which serial, who is behind the others, who lacks a zone, who is
//! silent.

use std::collections::BTreeMap;

use origin_sync::{Severity, ZoneStatus, serials_ahead};
use serde::Serialize;

use crate::zones_summary::severity;

/// What a node said.
#[derive(Clone, Debug)]
pub(crate) struct NodeZones {
    pub(crate) node: String,
    /// Its zones by name, or why it said nothing.
    pub(crate) zones: Result<Vec<ZoneStatus>, String>,
}

/// A zone on all nodes.
#[derive(Clone, Debug)]
pub(crate) struct Row<'z> {
    pub(crate) zone: &'z str,
    /// The newest serial that any node has.
    pub(crate) newest: Option<u32>,
    /// One for each node, in their order.
    pub(crate) cells: Vec<Cell<'z>>,
}

/// A zone on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'z> {
    /// The node said nothing.
    Silent,
    /// Other nodes have the zone, this one does not.
    Missing,
    /// It has the zone, so many serials behind the newest.
    Has { status: &'z ZoneStatus, behind: u32 },
}

impl Cell<'_> {
    /// How bad it is.
    pub(crate) fn severity(&self) -> Option<Severity> {
        match self {
            Self::Silent => None,
            Self::Missing => Some(Severity::Critical),
            Self::Has { status, behind } => severity(status).max((*behind > 0).then_some(Severity::Warning)),
        }
    }
}

impl Row<'_> {
    /// How bad the worst of it is.
    pub(crate) fn severity(&self) -> Option<Severity> {
        self.cells.iter().filter_map(Cell::severity).max()
    }
}

/// Every zone that any node has, by name.
pub(crate) fn rows(nodes: &[NodeZones]) -> Vec<Row<'_>> {
    let mut by_name: BTreeMap<&str, Vec<Option<&ZoneStatus>>> = BTreeMap::new();
    for (place, node) in nodes.iter().enumerate() {
        for zone in node.zones.iter().flatten() {
            let cells = by_name.entry(&zone.zone).or_insert_with(|| vec![None; nodes.len()]);
            if let Some(cell) = cells.get_mut(place) {
                *cell = Some(zone);
            }
        }
    }
    by_name.into_iter().map(|(zone, statuses)| row(zone, &statuses, nodes)).collect()
}

fn row<'z>(zone: &'z str, statuses: &[Option<&'z ZoneStatus>], nodes: &[NodeZones]) -> Row<'z> {
    let serials = statuses.iter().flatten().filter_map(|status| status.serial);
    let newest = serials.reduce(|a, b| if serials_ahead(b, a).is_some() { b } else { a });
    let cells = statuses.iter().zip(nodes).map(|(status, node)| match status {
        Some(status) => {
            let behind = newest.zip(status.serial).and_then(|(newest, ours)| serials_ahead(newest, ours)).unwrap_or(0);
            // A node whose input is delayed is behind on purpose.
            Cell::Has { status, behind: if status.delay_s > 0 { 0 } else { behind } }
        }
        None if node.zones.is_ok() => Cell::Missing,
        None => Cell::Silent,
    });
    Row { zone, newest, cells: cells.collect() }
}

/// The same as JSON: what each node said, and the rows.
#[derive(Serialize)]
pub(crate) struct FleetJson<'z> {
    nodes: Vec<NodeJson<'z>>,
    zones: Vec<RowJson<'z>>,
}

#[derive(Serialize)]
struct NodeJson<'z> {
    node: &'z str,
    /// Why it said nothing; null when it did.
    error: Option<&'z str>,
    zones: Option<&'z [ZoneStatus]>,
}

#[derive(Serialize)]
struct RowJson<'z> {
    zone: &'z str,
    newest_serial: Option<u32>,
    nodes: BTreeMap<&'z str, CellJson>,
}

#[derive(Serialize)]
struct CellJson {
    /// `silent`, `missing`, or the zone's state on that node.
    state: &'static str,
    serial: Option<u32>,
    /// Behind the newest that any node has.
    serials_behind: u32,
    severity: Option<Severity>,
}

impl<'z> FleetJson<'z> {
    pub(crate) fn new(nodes: &'z [NodeZones], rows: &[Row<'z>]) -> Self {
        let node = |node: &'z NodeZones| NodeJson {
            node: &node.node,
            error: node.zones.as_ref().err().map(String::as_str),
            zones: node.zones.as_ref().ok().map(Vec::as_slice),
        };
        let row = |row: &Row<'z>| RowJson {
            zone: row.zone,
            newest_serial: row.newest,
            nodes: nodes.iter().zip(&row.cells).map(|(node, cell)| (node.node.as_str(), cell.into())).collect(),
        };
        Self { nodes: nodes.iter().map(node).collect(), zones: rows.iter().map(row).collect() }
    }
}

impl From<&Cell<'_>> for CellJson {
    fn from(cell: &Cell<'_>) -> Self {
        let (state, serial, serials_behind) = match cell {
            Cell::Silent => ("silent", None, 0),
            Cell::Missing => ("missing", None, 0),
            Cell::Has { status, behind } => (status.state.as_str(), status.serial, *behind),
        };
        Self { state, serial, serials_behind, severity: cell.severity() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use origin_sync::ZoneCondition;

    use super::*;

    pub(in super::super) fn zone(name: &str, serial: u32) -> ZoneStatus {
        let (zone, serial) = (name.to_owned(), Some(serial));
        ZoneStatus { zone, serial, state: ZoneCondition::Serving, ..ZoneStatus::default() }
    }

    pub(in super::super) fn node(name: &str, zones: &[ZoneStatus]) -> NodeZones {
        NodeZones { node: name.to_owned(), zones: Ok(zones.to_vec()) }
    }

    #[test]
    fn who_is_behind_missing_and_silent() {
        let nodes = [
            node("a", &[zone("x.", 7), zone("y.", u32::MAX)]),
            node("b", &[zone("x.", 5), zone("y.", 1)]),
            node("c", &[zone("x.", 7)]),
            NodeZones { node: "d".to_owned(), zones: Err("no answer".to_owned()) },
        ];
        let rows = rows(&nodes);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| {
                let cell = |cell: &Cell<'_>| match cell {
                    Cell::Silent => "silent".to_owned(),
                    Cell::Missing => "missing".to_owned(),
                    Cell::Has { behind, .. } => behind.to_string(),
                };
                (row.zone, row.newest, row.cells.iter().map(cell).collect::<Vec<_>>().join(" "))
            })
            .collect();
        let want = [("x.", Some(7), "0 2 0 silent".to_owned()), ("y.", Some(1), "2 0 missing silent".to_owned())];
        assert_eq!(shown, want);
    }
}
