//! Getting onto an interface, and off it: natively, else in generic mode, else not at all; never in another program's place; and
//! `parapet status` says which and why.

use parapet_lab::{Edge, Namespace, XdpProgram, until, zone_text};
use serde_json::Value;
use wire::Rtype;

use crate::message::Message;
use crate::scene::{Asked, Client, DEADLINE, INTERFACE, Scene, TRUNK_NETWORK, ZONE, required, server, status};

/// An interface that takes no program natively, on a wire of its own to the client.
const BRIDGE: &str = "bridge";

/// The program of an interface.
pub(crate) fn program(host: &Namespace, interface: &str) -> Option<XdpProgram> {
    host.xdp_program(interface).expect("ip link")
}

/// What the status says of an interface.
fn interface(edge: &Edge, name: &str) -> Value {
    let kernel = status(edge)["kernel_lane"].clone();
    let all = kernel["interfaces"].as_array().unwrap_or_else(|| panic!("no interfaces: {kernel:#}"));
    let found = all.iter().find(|interface| interface["name"] == name);
    found.unwrap_or_else(|| panic!("no interface {name}: {kernel:#}")).clone()
}

/// Asks twice, and waits until the kernel lane has counted an answer.
fn answers_below(scene: &Scene, edge: &Edge, client: Client<'_>) {
    let before = Asked::of(edge).answered;
    let message = Message::new("www.example.com", Rtype::A).to_bytes(1);
    let wanted = scene.other().exchange(&message).expect("an answer by the sockets");
    until("an answer by the kernel lane", DEADLINE, || {
        assert_eq!(client.exchange(&message).expect("an answer"), wanted);
        (Asked::of(edge).answered > before).then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}: {:#}", Asked::of(edge).all));
}

#[test]
fn it_is_attached_natively_and_goes_with_the_daemon() {
    let scene = Scene::new("kernel-native");
    let _origin = scene.origin(zone_text::small(ZONE));
    let edge = scene.edge(&required(), "");
    let host = scene.host("edge");
    assert!(program(host, INTERFACE).expect("a program").is_native);
    assert_eq!(interface(&edge, INTERFACE)["mode"], "native");
    assert_eq!(program(host, "other"), None, "on no other interface");
    answers_below(&scene, &edge, scene.client());
    let text = edge.ask(&["status"]).expect("parapet status").stdout;
    let line = text.lines().find(|line| line.starts_with("kernel lane")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(INTERFACE) && line.contains("native"), "{line}");
    edge.stop().expect("parapet ends");
    assert_eq!(program(host, INTERFACE), None, "it is gone");
}

#[test]
fn where_it_must_it_is_attached_in_generic_mode() {
    let scene = Scene::new("kernel-generic");
    let (host, client) = (scene.host("edge"), scene.host("client"));
    host.wire("member", client, "member").expect("a wire");
    for arguments in ["add name bridge up type bridge", "set dev member master bridge"] {
        let arguments: Vec<&str> = ["link"].into_iter().chain(arguments.split(' ')).collect();
        host.run("ip", &arguments).expect("ip link");
    }
    host.address(BRIDGE, server(TRUNK_NETWORK).ip(), 24).expect("an address");
    client.address("member", [10, TRUNK_NETWORK, 0, 2].into(), 24).expect("an address");
    let at_bridge = Client { namespace: client, server: server(TRUNK_NETWORK) };
    let _origin = scene.origin(zone_text::small(ZONE));
    for mode in ["auto", "required"] {
        let edge = scene.edge(&format!("kernel = \"{mode}\"\ninterfaces = [\"{BRIDGE}\"]"), "");
        assert!(!program(host, BRIDGE).expect("a program").is_native, "{mode}");
        let said = interface(&edge, BRIDGE);
        assert_eq!(said["mode"], "generic", "{said}");
        assert!(!said["why"].as_str().unwrap_or_default().is_empty(), "{said}");
        answers_below(&scene, &edge, at_bridge);
        edge.stop().expect("parapet ends");
        assert_eq!(program(host, BRIDGE), None, "{mode}");
    }
}

#[test]
fn another_program_stays_where_it_is() {
    let scene = Scene::new("kernel-taken");
    let _origin = scene.origin(zone_text::small(ZONE));
    // The lab's own, which lets everything pass.
    scene.host("edge").take_xdp(INTERFACE).expect("their program");
    let there = || program(scene.host("edge"), INTERFACE).expect("their program").id;
    let theirs = there();
    let refused = scene.build(&required(), "").without_waiting().start().expect("a process");
    let ended = refused.process().wait(DEADLINE).expect("it ends");
    let output = refused.process().output();
    assert!(!ended.success(), "{output}");
    assert!(output.contains(INTERFACE) && output.contains(&theirs.to_string()), "which, and whose: {output}");
    assert_eq!(there(), theirs);

    let edge = scene.edge(&required().replace("required", "auto"), "");
    let said = interface(&edge, INTERFACE);
    assert!(said["mode"].is_null(), "{said}");
    assert!(said["why"].as_str().is_some_and(|why| why.contains(&theirs.to_string())), "{said}");
    let message = Message::new("www.example.com", Rtype::A).to_bytes(1);
    assert_eq!(scene.client().exchange(&message), scene.other().exchange(&message));
    edge.stop().expect("parapet ends");
    assert_eq!(there(), theirs);
}

#[test]
fn required_means_every_interface() {
    let scene = Scene::new("kernel-required");
    let _origin = scene.origin(zone_text::small(ZONE));
    let lanes = required().replace("\"]", "\", \"nowhere\"]");
    let refused = scene.build(&lanes, "").without_waiting().start().expect("a process");
    let ended = refused.process().wait(DEADLINE).expect("it ends");
    let output = refused.process().output();
    assert!(!ended.success() && output.contains("nowhere"), "{output}");
    assert_eq!(program(scene.host("edge"), INTERFACE), None, "nothing is left behind");

    let edge = scene.edge(&lanes.replace("required", "auto"), "");
    assert_eq!(interface(&edge, INTERFACE)["mode"], "native");
    assert!(interface(&edge, "nowhere")["mode"].is_null());
    answers_below(&scene, &edge, scene.client());
}

/// `off` is the sockets alone, and nothing is loaded.
#[test]
fn off_means_off() {
    let scene = Scene::new("kernel-off");
    let _origin = scene.origin(zone_text::small(ZONE));
    let edge = scene.edge("kernel = \"off\"", "");
    assert_eq!(program(scene.host("edge"), INTERFACE), None);
    let said = &status(&edge)["kernel_lane"];
    assert_eq!((&said["wanted"], &said["attached"]), (&"off".into(), &false.into()), "{said}");
    let message = Message::new("www.example.com", Rtype::A).to_bytes(1);
    assert_eq!(scene.client().exchange(&message), scene.other().exchange(&message));
}

/// By default it is there, and the short form's option says otherwise.
#[test]
fn the_short_form_has_lanes_too() {
    let scene = Scene::new("kernel-short");
    let _origin = scene.origin(zone_text::small(ZONE));
    for (arguments, wanted) in [
        (&[][..], "auto"),
        (&["--lanes", "auto"], "auto"),
        (&["--lanes", "kernel"], "required"),
        (&["--lanes", "sockets"], "off"),
    ] {
        let edge = Edge::at(scene.host("edge")).origin(scene.host("origin").v4()).key(&scene.key).zone(ZONE);
        let edge = edge.args(arguments).start().expect("parapet");
        edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
        let said = &status(&edge)["kernel_lane"];
        assert_eq!((&said["wanted"], &said["attached"]), (&wanted.into(), &(wanted != "off").into()), "{said}");
        if wanted != "off" {
            answers_below(&scene, &edge, scene.client());
        }
        edge.stop().expect("parapet ends");
    }
}

/// Without a word on interfaces it is on those that the addresses belong to.
#[test]
fn interfaces_follow_from_addresses() {
    let scene = Scene::new("kernel-interfaces");
    let _origin = scene.origin(zone_text::small(ZONE));
    let edge = scene.edge("kernel = \"auto\"", "");
    let host = scene.host("edge");
    for name in ["client", "other", "origin"] {
        assert_eq!(interface(&edge, name)["mode"], "generic", "{name}: all are virtual wires");
        assert!(program(host, name).is_some(), "{name}");
    }
    assert_eq!(program(host, "lo"), None);
}

/// A veth whose other end has neither an XDP program nor GRO loses what is sent natively: nobody gets that unasked.
#[test]
fn over_a_plain_virtual_wire_every_answer_arrives() {
    let scene = Scene::new("kernel-plain");
    let (host, client) = (scene.host("edge"), scene.host("client"));
    host.wire("plain", client, "plain").expect("a wire");
    host.address("plain", server(TRUNK_NETWORK).ip(), 24).expect("an address");
    client.address("plain", [10, TRUNK_NETWORK, 0, 2].into(), 24).expect("an address");
    let over_it = Client { namespace: client, server: server(TRUNK_NETWORK) };
    let _origin = scene.origin(zone_text::small(ZONE));
    let edge = scene.edge("kernel = \"required\"\ninterfaces = [\"plain\"]", "");
    let said = interface(&edge, "plain");
    assert_eq!(said["mode"], "generic", "{said}");
    assert!(said["why"].as_str().is_some_and(|why| why.contains("kernel_attach")), "{said}");
    answers_below(&scene, &edge, over_it);
    let before = Asked::of(&edge).answered;
    let message = Message::new("www.example.com", Rtype::A).to_bytes(1);
    (0..100).for_each(|_| _ = over_it.exchange(&message).expect("an answer"));
    until("each counted", DEADLINE, || (Asked::of(&edge).answered >= before + 100).then_some(()))
        .expect("answered below");
}
