//! A zone with two origins: one may be down, and `parapet zones` shows each by itself.

use parapet_lab::{Edge, Named, ZoneSpec, zone_text};

use crate::scene::{DEADLINE, Scene, wait_for_status};

const ZONE: &str = "example.com";

#[test]
fn the_second_origin_stands_in_for_the_first() {
    let scene = Scene::new("two");
    // The lab's third edge and second client stand in for the hosts of origins here.
    let (first, second) = (scene.host("origin"), scene.host("edge3"));
    let notify = scene.host("edge1").v4();
    let start = |host| {
        let zone = ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic();
        Named::at(host).key(&scene.key).notify(notify).zone(zone).start().expect("named")
    };
    let mut one = start(first);
    one.stop().expect("the first origin stops");
    let two = start(second);
    let edge = Edge::at(scene.host("edge1")).origin(first.v4()).origin(second.v4()).key(&scene.key).zone(ZONE);
    let edge = edge.start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone from the second origin");
    let address = |host: &parapet_lab::Namespace| format!("{}:53", host.v4());
    let shown = wait_for_status(&edge, ZONE, "an error of the first origin alone", |zone| {
        let origins = zone["origins"].as_array().expect("origins");
        let of =
            |address: &str| origins.iter().find(|origin| origin["address"] == address).cloned().unwrap_or_default();
        !of(&address(first))["last_error"].is_null() && of(&address(second))["last_error"].is_null()
    });
    assert_eq!(shown["state"], "serving");

    // A change at the second arrives while the first is down ...
    two.update(ZONE, "update add two.example.com 300 A 192.0.2.2").expect("an update");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change at the second origin");
    // ... and one at the first when it is back and the second gone.
    one.start_again().expect("the first origin");
    one.wait_for_zone(ZONE, 1, DEADLINE).expect("its zone");
    two.stop().expect("the second origin stops");
    for number in 0..4 {
        one.update(ZONE, &format!("update add one{number}.example.com 300 A 192.0.2.1")).expect("an update");
    }
    edge.wait_for_zone(ZONE, 5, DEADLINE).expect("the changes at the first origin");
}
