//! An edge whose daemon is killed (SIGKILL): the kernel closes its sessions, the router knows at once.

use parapet_lab::failover::Case;

use crate::scene::{NOTICED, Scene, check_taken_over};

#[test]
fn another_edge_answers_at_once_and_it_comes_back() {
    let mut scene = Scene::new("anycast-killed");
    for _ in 0..2 {
        let [failing, back] = scene.befall(Case::Kill, |_| {});
        check_taken_over(&failing, NOTICED);
        assert!(back.answerers().contains_key("edge1"), "{:?}", back.answerers());
    }
}

#[test]
fn what_it_put_on_lo_goes_with_it() {
    let scene = Scene::new("anycast-killed-addresses");
    let host = scene.nodes[0].edge().namespace().clone();
    let service = scene.pair.ground.service;
    let on_lo = || host.run("ip", &["-o", "address", "show", "dev", "lo"]).expect("ip").stdout;
    for address in service.addresses() {
        assert!(on_lo().contains(&format!(" {address}/")), "{address} is not in {}", on_lo());
    }
    scene.nodes[0].edge().process().signal(nix::sys::signal::Signal::SIGKILL).expect("a signal");
    let gone = || (!service.addresses().iter().any(|address| on_lo().contains(&format!(" {address}/")))).then_some(());
    parapet_lab::until("the addresses to go", crate::scene::DEADLINE, gone).unwrap_or_else(|_| panic!("{}", on_lo()));
}
