//! An edge whose processes all stop (SIGSTOP): its sockets stay open, its kernel acknowledges everything. BFD notices.

use parapet_lab::failover::Case;

use crate::scene::{NOTICED, Scene, check_taken_over};

#[test]
fn bfd_notices_and_another_edge_answers() {
    let mut scene = Scene::new("anycast-frozen");
    for _ in 0..2 {
        let [failing, _] = scene.befall(Case::Freeze, |_| {});
        check_taken_over(&failing, NOTICED);
        // Long before the hold time of BGP was over.
        assert!(failing.missed() > 0);
    }
}
