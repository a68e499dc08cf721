//! An edge whose uplink carries nothing any more, while both ends of it stay up.

use parapet_lab::failover::Case;

use crate::scene::{NOTICED, Scene, check_taken_over};

#[test]
fn bfd_notices_and_another_edge_answers() {
    let mut scene = Scene::new("anycast-cut");
    for _ in 0..2 {
        let [failing, _] = scene.befall(Case::Cut, |scene| {
            // The other side notices too, and says so.
            let down = |status: &serde_json::Value| {
                let neighbours = status["neighbours"].as_array().expect("neighbours");
                neighbours.iter().all(|neighbour| neighbour["state"] != "established")
            };
            scene.wait_for_status(0, "no session", down);
        });
        check_taken_over(&failing, NOTICED);
    }
}
