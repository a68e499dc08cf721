//! DNS cookies (RFC 7873, RFC 9018) as `dig` uses them: a server cookie comes with the first answer, is good at every edge
//! with the same secret, and stays good while the secret is rolled over.

use parapet_lab::{Edge, ZoneSpec, zone_text};

use crate::scene::{DEADLINE, Scene};

const ZONE: &str = "example.com";
const OLD: &str = "000102030405060708090a0b0c0d0e0f";
const NEW: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

fn file(scene: &Scene, edge: &parapet_lab::Namespace, secrets: &[&str]) -> String {
    let state = scene.lab.folder().join(format!("state-{}", edge.name()));
    format!(
        "[network]\ncookie_secrets = {secrets:?}\n[node.edge]\nlisten = [\"{}:53\"]\nstate_dir = \"{}\"\n[key.transfer]\n\
         key_file = \"{}\"\n[origin.bind]\naddresses = [\"{}\"]\nkey = \"transfer\"\n[zone.\"{ZONE}\"]\norigins = [\"bind\"]\n",
        edge.v4(),
        state.display(),
        scene.key.file.display(),
        scene.host("origin").v4(),
    )
}

/// What `dig` says of the cookie it got back, and the cookie.
fn dig(scene: &Scene, edge: &Edge, cookie: &str) -> (String, String) {
    let text = scene
        .client_runs("dig", &[&format!("@{}", edge.v4()), ZONE, "SOA", &format!("+cookie{cookie}"), "+nobadcookie"]);
    let line =
        text.lines().find_map(|line| line.strip_prefix("; COOKIE: ")).unwrap_or_else(|| panic!("no cookie: {text}"));
    let (cookie, verdict) = line.split_once(' ').unwrap_or((line, ""));
    (cookie.to_owned(), verdict.to_owned())
}

#[test]
fn a_cookie_is_good_at_every_edge_and_through_a_roll_over() {
    let scene = Scene::new("cookies");
    let _named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE))).start().expect("named");
    let start = |host: &str, secrets: &[&str]| {
        let host = scene.host(host);
        let edge = Edge::at(host).file(&file(&scene, host, secrets), "edge").start().expect("parapet");
        edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
        edge
    };
    let (old, both) = (start("edge1", &[OLD]), start("edge2", &[NEW, OLD]));

    let (cookie, verdict) = dig(&scene, &old, "");
    assert_eq!(
        (cookie.len(), verdict.as_str()),
        (48, "(good)"),
        "a client cookie of 8 bytes and a server cookie of 16"
    );
    let (again, _) = dig(&scene, &old, &format!("={cookie}"));
    assert_eq!(again[..16], cookie[..16], "the client's part comes back");
    // The edge that has rolled over takes the cookie of the one that has not, and gives one of its own secret.
    let (renewed, verdict) = dig(&scene, &both, &format!("={cookie}"));
    assert_eq!((&renewed[..16], verdict.as_str()), (&cookie[..16], "(good)"));
    let text = scene.client_runs("dig", &[&format!("@{}", both.v4()), ZONE, "SOA", "+cookie=0011223344"]);
    assert!(text.contains("FORMERR"), "a cookie of five bytes is malformed (RFC 7873 §5.2.2): {text}");
}
