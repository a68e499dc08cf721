//! An edge that is stopped in the orderly way (SIGTERM) withdraws first and answers until clients are elsewhere; one that is
//! started announces only once it answers. Nothing is lost over a restart.

use nix::sys::signal::Signal;

use crate::scene::{DEADLINE, FIRST, SECOND, Scene, check_nothing_lost};

#[test]
fn nothing_is_lost_over_a_restart() {
    let mut scene = Scene::new("anycast-stopped");
    for _ in 0..2 {
        let begin_us = scene.prober.now_us();
        scene.nodes[0].edge().process().signal(Signal::SIGTERM).expect("a signal");
        let status = scene.nodes[0].edge().process().wait(DEADLINE).expect("its end");
        assert!(status.success(), "{status}");
        scene.wait_until_answered_by(SECOND);
        scene.nodes[0].start_again().expect("parapet");
        scene.wait_until_answered_by(FIRST);
        check_nothing_lost(&scene.record(begin_us, scene.prober.now_us()));
    }
}
