//! An edge that does not reach the origin while the zone changes there: it leaves, because another edge has the change.

use std::time::Duration;

use parapet_lab::failover::{Case, ZONE};
use parapet_lab::prober::Expected;

use crate::scene::{DEADLINE, Scene, check_taken_over};

/// Its copy may be unconfirmed for two seconds, and looks at that take their time.
const NOTICED: Duration = Duration::from_secs(15);

#[test]
fn it_leaves_and_comes_back_with_the_change() {
    let mut scene = Scene::new("anycast-stale");
    let [failing, _] = scene.befall(Case::Stale, |scene| {
        scene.change_zone("new");
        scene.nodes[1].edge().wait_for_zone(ZONE, 2, DEADLINE).expect("the change at the other edge");
        scene.prober.expect(Expected::SerialFrom(2));
    });
    check_taken_over(&failing, NOTICED);
    scene.nodes[0].edge().wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
}
