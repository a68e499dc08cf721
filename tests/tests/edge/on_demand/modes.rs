//! A zone changes its mode while it is served: push, on-demand, pull and back, by an edited file. Answers go on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use parapet_lab::{Edge, Rtype, ZoneSpec, dns, until, zone_text};

use crate::scene::{DEADLINE, Scene};

const ZONE: &str = "example.com";
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n\
    mode = \"push\"\n";

fn change_mode(edge: &Edge, from: &str, to: &str) {
    let path = edge.folder().join("network.toml");
    let text = std::fs::read_to_string(&path).expect("the network file");
    let changed = text.replace(&format!("mode = \"{from}\""), &format!("mode = \"{to}\""));
    assert_ne!(text, changed);
    let new = path.with_extension("new");
    std::fs::write(&new, changed).expect("writing a file");
    std::fs::rename(&new, &path).expect("putting it in place");
    edge.namespace().run("kill", &["-HUP", &edge.process().pid().to_string()]).expect("a signal");
    until(format!("mode {to}"), DEADLINE, || {
        let mode = crate::scene::status(edge, ZONE)["mode"].clone();
        (mode == to).then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}: {:#}", crate::scene::status(edge, ZONE)));
}

/// Says that it is over when it is dropped, by a failure too.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn answers_go_on_through_every_change_of_mode() {
    let scene = Scene::new("modes");
    let named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start().expect("named");
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let (end, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let answers = |end: &AtomicBool| {
        let mut client = dns::Client::new(scene.client(), (edge.v4(), dns::PORT).into()).expect("a client");
        while !end.load(Ordering::SeqCst) {
            let reply = client.ask("www.example.com", Rtype::A).expect("an answer");
            assert_eq!((reply.rcode, reply.aa, reply.answers.len()), (0, true, 1), "while its mode changes");
            asked.fetch_add(1, Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        let client = scope.spawn(|| answers(&end));
        // However this ends, the client is to end as well.
        let _end = AtEnd(&end);
        let mut serial = 1;
        for (from, to) in [("push", "on-demand"), ("on-demand", "pull"), ("pull", "on-demand"), ("on-demand", "push")] {
            change_mode(&edge, from, to);
            serial += 1;
            let name = format!("n{serial}.example.com");
            named.update(ZONE, &format!("update add {name} 300 A 192.0.2.{serial}")).expect("an update");
            until(format!("{name} in mode {to}"), DEADLINE, || {
                (scene.ask(edge.v4(), &name, wire::Rtype::A).answer.len() == 1).then_some(())
            })
            .expect("a change at the origin is seen");
            if client.is_finished() {
                break;
            }
        }
        end.store(true, Ordering::SeqCst);
        client.join().expect("answers go on");
    });
    assert!(asked.load(Ordering::SeqCst) > 50, "a client that asks all the while");
}
