//! `parapet anycast routes` for people.

use anycast::bgp::ReceivedRoute;

use super::super::table::render;
use super::words::list;

/// A row for each route.
pub(super) fn table(routes: &[ReceivedRoute]) -> String {
    if routes.is_empty() {
        return "it has sent no route that is kept\n".to_owned();
    }
    let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
    let row = |route: &ReceivedRoute| {
        let own = if route.own_as { " (own AS in it)" } else { "" };
        vec![
            route.prefix.to_string(),
            route.next_hop.to_string(),
            route.origin.clone(),
            format!("{}{own}", route.as_path),
            number(route.med),
            number(route.local_pref),
            list(&route.communities),
        ]
    };
    let header = ["prefix", "next hop", "origin", "AS path", "med#", "local pref#", "communities"];
    render(&header, &routes.iter().map(row).collect::<Vec<_>>())
}
