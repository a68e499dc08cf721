//! What is wrong is said all at once, with its place, what was found and what was expected.

mod support;

use config::Network;
use support::{Files, KEY_FILE};

/// Diagnostics of a file named `net.toml` in `etc/`, one a line.
fn check(text: &str, want: &[&str]) {
    let files = Files(
        [
            ("etc/good.key", KEY_FILE),
            (
                "etc/open.key",
                concat!(
                    "!",
                    "key k { algorithm hmac-sha256; secret \"bm90IGEgc2VjcmV0IGF0IGFsbCwganVzdCBiYXNlNjQ=\"; };"
                ),
            ),
        ]
        .into(),
    );
    let got: Vec<String> = match Network::parse(text, "etc/net.toml", &files) {
        Ok(parsed) => parsed.warnings.iter().map(ToString::to_string).collect(),
        Err(diagnostics) => diagnostics.0.iter().map(ToString::to_string).collect(),
    };
    let want: Vec<String> = want.iter().map(|line| format!("etc/net.toml:{line}")).collect();
    assert_eq!(got, want, "\n{}\n", got.join("\n"));
}

const ORIGIN: &str = "[origin.a]\naddresses = [\"192.0.2.53\"]\n[zone.\"z.example\"]\norigins = [\"a\"]\n";

#[test]
fn a_good_file_has_none() {
    check(ORIGIN, &[]);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = r#"[node.one]
listen = ["192.0.2.1", "[::1]:53", "[::1]:53", 53]
wrokers = 2
workers = "many"
metrics = "127.0.0.1"
[node.one.limits]
udp_payload_bytes_max = 100_000
[node."two three"]
listen = ["[::]:53"]
[origin.a]
addresses = ["ns1.example.com", "0.0.0.0"]
key = "transfre"
source_v4 = "2001:db8::1"
notify_from = ["192.0.2.1/24"]
[key.transfer]
secret = "not base64!"
[zone."example..com"]
origins = ["a"]
[zone."example.com"]
origins = ["a", "b"]
[zone."Example.COM."]
origins = ["a"]
[zone."z.example".timers]
retry_s_min = 7200
expire_s_max = 60
jitter_percent = -1
"#;
    check(
        text,
        &[
            r#"2:11: error: node.one.listen[0]: found "192.0.2.1"; expected an address with a port, such as "192.0.2.1:53""#,
            r#"2:48: error: node.one.listen[3]: found 53; expected an address and port such as "192.0.2.1:53" or "[2001:db8::1]:53""#,
            r#"3:1: error: node.one.wrokers: found an unknown name; expected one of roles, listen, state_dir, control, metrics, workers, user, upstream, upstream_fallback, transfer_addresses, delay_s, log, identity, limits, api, lanes, defences, anycast (did you mean "workers"?)"#,
            r#"4:11: error: node.one.workers: found "many"; expected a whole number from 0 to 1024"#,
            r#"5:11: error: node.one.metrics: found "127.0.0.1"; expected an address with a port, such as "127.0.0.1:53""#,
            r#"7:25: error: node.one.limits.udp_payload_bytes_max: found 100000; expected a whole number from 512 to 4096, in bytes"#,
            r#"8:7: error: node."two three": found "two three"; expected a name of 1 to 63 letters, digits, '.', '-' and '_'"#,
            r#"11:14: error: origin.a.addresses[0]: found "ns1.example.com"; expected an address, with a port if it is not 53, such as "192.0.2.53" or "[2001:db8::53]:5353""#,
            r#"11:33: error: origin.a.addresses[1]: found "0.0.0.0"; expected the address of one machine"#,
            r#"12:7: error: origin.a.key: found "transfre"; expected one of transfer (did you mean "transfer"?)"#,
            r#"13:13: error: origin.a.source_v4: found "2001:db8::1"; expected an IPv4 address"#,
            r#"14:16: error: origin.a.notify_from[0]: found "192.0.2.1/24"; expected no bits set behind the prefix length: write "192.0.2.0/24""#,
            r#"15:6: warning: key.transfer: found a key of no origin; expected an origin with this key"#,
            r#"16:10: error: key.transfer.secret: found a text of 11 characters (not shown); expected the secret in base64, as `tsig-keygen` prints it"#,
            r#"17:7: error: zone."example..com": found "example..com"; expected no empty label: there is a dot too many"#,
            r#"20:17: error: zone."example.com".origins[1]: found "b"; expected one of a"#,
            r#"21:7: error: zone."Example.COM.": found the same zone as in line 19; expected each once"#,
            r#"23:7: error: zone."z.example".origins: found nothing; expected a list of 1 to 16, each the name of a [origin.NAME]: origins = ["bind-1"]"#,
            r#"24:15: error: zone."z.example".timers.retry_s_min: found 7200; expected at most retry_s_max, which is 3600 by default"#,
            r#"25:16: error: zone."z.example".timers.expire_s_max: found 60; expected at least expire_s_min, which is 600 by default"#,
            r#"26:18: error: zone."z.example".timers.jitter_percent: found -1; expected a whole number from 0 to 50, in percent"#,
        ],
    );
}

#[test]
fn twins_are_found() {
    check(
        &format!("[node.n]\nlisten = [\"[::]:53\", \"[::]:53\"]\n{}", ORIGIN.replace("[\"a\"]", "[\"a\", \"a\"]")),
        &[
            r#"2:22: error: node.n.listen[1]: found "[::]:53" again; expected each address once"#,
            r#"6:17: error: zone."z.example".origins[1]: found "a" again; expected each origin once"#,
        ],
    );
}

#[test]
fn syntax_errors_have_their_place_and_don_t_hide_the_rest() {
    let text = "[node.n]\nlisten = [\"[::]:53\"\nworkers = 1\nworkers = \"x\"\n";
    let Err(diagnostics) = Network::parse(text, "net.toml", &Files::default()) else { panic!("read a broken file") };
    let all = diagnostics.to_string();
    assert!(all.contains("net.toml:3:") && all.contains("expected well-formed TOML ("), "{all}");
}

#[test]
fn a_name_set_twice_is_a_syntax_error() {
    let text = format!("[network]\nname = \"a\"\nname = \"b\"\n{ORIGIN}[network]\n");
    check(
        &text,
        &[
            "3:1: error: found `name`; expected well-formed TOML (duplicate key)",
            "8:2: error: found `network`; expected well-formed TOML (duplicate key)",
        ],
    );
}

#[test]
fn secrets_come_from_files_of_their_own() {
    let with = |key: &str| ORIGIN.replace("53\"]\n", &format!("53\"]\nkey = \"k\"\n[key.k]\n{key}\n"));
    check(&with("key_file = \"good.key\""), &[]);
    check(
        &with("key_file = \"open.key\""),
        &[
            "5:12: warning: key.k.key_file: found \"open.key\", which everybody can read; expected a file for its owner alone: chmod 600 etc/open.key",
        ],
    );
    check(
        &with("key_file = \"gone.key\""),
        &["5:12: error: key.k.key_file: found \"gone.key\": no such file; expected a file that can be read"],
    );
    check(
        &with("key_file = \"good.key\"\nalgorithm = \"hmac-sha256\""),
        &[
            "6:13: error: key.k.algorithm: found hmac-sha256; expected hmac-sha512, as \"good.key\" has it, or no algorithm here",
        ],
    );
    check(
        &with("secret_file = \"good.key\""),
        &[
            "5:15: error: key.k.secret_file: found a file without a readable secret; expected the secret in base64, as `tsig-keygen` prints it",
        ],
    );
    check(
        &with("secret = \"c2VjcmV0\"\nsecret_file = \"good.key\""),
        &["5:10: error: key.k: found secret_file and secret together; expected only one of them"],
    );
    check(&with(""), &["4:6: error: key.k: found no secret; expected one of key_file, secret_file, secret"]);
    check(
        &with("secret = \"c2VjcmV0\""),
        &["5:10: warning: key.k: found a secret of 6 bytes; expected at least 16 bytes, as `tsig-keygen` makes them"],
    );
}

#[test]
fn cookie_secrets_are_never_repeated() {
    check(
        &format!(
            "[network]\ncookie_secrets = [\"e5e973e5a6b2a43f48e7dc849e37bfc\"]\ncookie_secret_files = [\"good.key\"]\n{ORIGIN}"
        ),
        &[
            "2:19: error: network.cookie_secrets[0]: found a text of 31 characters (not shown); expected a secret of 32 hexadecimal digits, as `openssl rand -hex 16` prints it",
            "3:24: error: network.cookie_secret_files[0]: found a file without a readable secret; expected a secret of 32 hexadecimal digits, as `openssl rand -hex 16` prints it",
        ],
    );
}

#[test]
fn a_zone_without_quotes_gets_a_hint() {
    check(
        "[origin.a]\naddresses = [\"192.0.2.53\"]\n[zone.example.com]\norigins = [\"a\"]\n",
        &[
            "1:9: warning: origin.a: found an origin of no zone; expected a zone with this origin",
            "3:7: error: zone.example.origins: found nothing; expected a list of 1 to 16, each the name of a [origin.NAME]: origins = [\"bind-1\"]",
            "3:15: error: zone.example.com: found a name without quotes; expected quotes round a name with dots: [zone.\"example.com\"]",
            "3:15: error: zone.example.com: found an unknown name; expected one of origins, mode, pull_interval_s, ixfr, on_expire, zonemd, fresh_s_max, checks, normal_per_s, timers, transfer, dnssec, on_demand",
        ],
    );
}

#[test]
fn a_distribution_tree_has_a_key_addresses_and_no_cycles() {
    let node = |name: &str, listen: &str, upstream: &str| {
        format!("[node.{name}]\nlisten = [\"{listen}\"]\nupstream = [{upstream}]\n")
    };
    let three = node("a", "192.0.2.1:53", "\"b\"") + &node("b", "192.0.2.2:53", "\"d\", \"c\"");
    check(
        &format!("{three}{}{}{ORIGIN}", node("c", "192.0.2.3:53", "\"a\""), node("d", "[::]:53", "\"d\"")),
        &[
            r#"3:13: error: node.a.upstream: found "b" without a key; expected a key that nodes sign with: node_key = "NAME" in [network]"#,
            r#"3:13: error: node.a.upstream: found a cycle: a -> b -> c -> a; expected a tree: zones must come from an origin"#,
            r#"6:13: error: node.b.upstream: found "d" without a key; expected a key that nodes sign with: node_key = "NAME" in [network]"#,
            r#"6:13: error: node.b.upstream[0]: found "d", which listens at wildcards alone; expected transfer_addresses in [node.d]"#,
            r#"9:13: error: node.c.upstream: found "a" without a key; expected a key that nodes sign with: node_key = "NAME" in [network]"#,
            r#"10:7: warning: node.d.transfer_addresses: found nothing; expected where its upstream nodes can notify it; without it, changes come when the SOA's timers say"#,
            r#"12:13: error: node.d.upstream: found "d" without a key; expected a key that nodes sign with: node_key = "NAME" in [network]"#,
            r#"12:13: error: node.d.upstream[0]: found "d", which listens at wildcards alone; expected transfer_addresses in [node.d]"#,
            r#"12:13: error: node.d.upstream: found a cycle: d -> d; expected a tree: zones must come from an origin"#,
        ],
    );
    check(
        &format!(
            "[network]\nnode_key = \"k\"\n[key.k]\nkey_file = \"good.key\"\n{}{}{ORIGIN}",
            node("a", "192.0.2.1:53", "\"b\", \"b\", \"e\""),
            node("b", "192.0.2.2:53", "")
        ),
        &[
            r#"7:18: error: node.a.upstream[1]: found "b" again; expected each node once"#,
            r#"7:23: error: node.a.upstream[2]: found "e"; expected one of a, b"#,
        ],
    );
}

#[test]
fn what_a_mode_has_no_use_for_is_warned_of() {
    let zone = |more: &str| format!("{ORIGIN}{more}\n");
    check(
        &zone("pull_interval_s = 60\non_demand.prefetch = false"),
        &[
            r#"5:19: warning: zone."z.example".pull_interval_s: found an item of no use here; expected mode = "pull" beside it"#,
            r#"6:22: warning: zone."z.example".on_demand.prefetch: found an item of no use here; expected mode = "on-demand" for the zone"#,
        ],
    );
    let copy =
        "expected on_demand.whole_records_max beside it, or mode \"push\" or \"pull\": a cache has no whole copy";
    let of_a_copy = "mode = \"on-demand\"\nixfr = false\nzonemd = \"require\"\ntimers.retry_s_min = 6";
    check(
        &zone(of_a_copy),
        &[
            &format!("6:8: warning: zone.\"z.example\".ixfr: found an item of no use here; {copy}"),
            &format!("7:10: warning: zone.\"z.example\".zonemd: found an item of no use here; {copy}"),
            &format!("8:22: warning: zone.\"z.example\".timers.retry_s_min: found an item of no use here; {copy}"),
        ],
    );
    check(&zone(&format!("{of_a_copy}\non_demand.whole_records_max = 5")), &[]);
    check(&zone("mode = \"pull\"\npull_interval_s = 60"), &[]);
    check(
        &zone("dnssec.trust_anchors = [\"1 8 1 0000000000000000000000000000000000000000\"]"),
        &[
            r#"5:24: warning: zone."z.example".dnssec.trust_anchors: found an item of no use here; expected validate = true beside it"#,
        ],
    );
    // What zones have in common need not be of use to each.
    check(&format!("[defaults.zone]\npull_interval_s = 9\nixfr = false\n{}", zone("mode = \"on-demand\"")), &[]);
}

#[test]
fn catalogs_have_templates_and_names_of_their_own() {
    check(
        &format!(
            "{ORIGIN}[template.bulk]\nmode = \"pul\"\n[template.other]\norigins = [\"b\"]\n[catalog.\"Z.example\"]\n\
             origins = [\"a\"]\ntemplate = \"bluk\"\n[catalog.\"Z.example\".group.one]\nvalue = \"two\"\n\
             template = \"other\"\n[catalog.\"Z.example\".group.two]\ntemplate = \"other\"\n[catalog.c]\n\
             members_max = 0\n[catalog.c.group.\"no good\"]\n"
        ),
        &[
            r#"5:11: warning: template.bulk: found a template of no catalog; expected a catalog with this template"#,
            r#"6:8: error: template.bulk.mode: found "pul"; expected one of "push", "pull", "on-demand" (did you mean "pull"?)"#,
            r#"8:12: error: template.other.origins[0]: found "b"; expected one of a"#,
            r#"9:10: error: catalog."Z.example": found the same name as the zone in line 3; expected one of both: a catalog is not served"#,
            r#"11:12: error: catalog."Z.example".template: found "bluk"; expected one of bulk, other (did you mean "bulk"?)"#,
            r#"15:28: error: catalog."Z.example".group.two: found "two" again; expected each group once"#,
            r#"17:10: error: catalog.c.origins: found nothing; expected a list of 1 to 16, each the name of a [origin.NAME]: origins = ["bind-1"]"#,
            r#"18:15: error: catalog.c.members_max: found 0; expected a whole number from 1 to 1000000"#,
            r#"19:18: error: catalog.c.group."no good": found "no good"; expected a name of 1 to 63 letters, digits, '.', '-' and '_'"#,
        ],
    );
}

#[test]
fn certificates_have_keys_and_pins_are_digests() {
    let origin = |tls: &str| ORIGIN.replace("53\"]\n", &format!("53\"]\ntls = {{ {tls} }}\n"));
    check(&origin(""), &[]);
    check(
        &origin("certificate = \"c.pem\", pins_sha256 = [\"abc\"]"),
        &[
            r#"3:23: error: origin.a.tls.certificate: found no key_file; expected key_file beside it"#,
            r#"3:47: error: origin.a.tls.pins_sha256[0]: found "abc"; expected the SHA-256 of a public key (SPKI), in base64 or 64 hexadecimal digits"#,
        ],
    );
    check(
        &origin("ca_file = \"c.pem\", pins_sha256 = [\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]"),
        &[
            "3:19: warning: origin.a.tls.ca_file: found an item of no use here; expected one of ca_file and pins_sha256: with pins, no authority is asked",
        ],
    );
    check(
        &format!("{ORIGIN}dnssec = {{ validate = true, trust_anchors = [\"1 8 2 00\"] }}\n"),
        &[
            r#"5:46: error: zone."z.example".dnssec.trust_anchors[0]: found "1 8 2 00"; expected a DS record's key tag, algorithm, digest type and digest, such as "20326 8 2 E06D…""#,
        ],
    );
}

#[test]
fn an_api_can_be_reached() {
    let api =
        |api: &str| format!("[node.n]\nlisten = [\"[::]:53\"]\nmetrics = \"[::1]:9\"\napi = {{ {api} }}\n{ORIGIN}");
    check(&api("listen = \"[::1]:8053\", token_file = \"t\""), &[]);
    check(
        &api("listen = \"[::]:8053\", token_file = \"t\""),
        &[
            r#"4:18: warning: node.n.api.url: found nothing; expected how other machines reach it: url = "http://ADDRESS:PORT""#,
        ],
    );
    check(
        &api("listen = \"[::1]:9\", url = \"ftp://a\""),
        &[
            r#"4:1: error: node.n.api.token_file: found nothing; expected a path: token_file = "/etc/parapet/api.token""#,
            r#"4:18: error: node.n.api.listen: found "[::1]:9", where the metrics are too; expected an address or port of its own"#,
            r#"4:35: error: node.n.api.url: found "ftp://a"; expected a URL without a path, such as "https://192.0.2.1:8053""#,
        ],
    );
}

#[test]
fn tables_that_are_none_and_values_that_are_tables() {
    check(
        &format!("node = 5\ndefaults = {{ zone = 1, nodes = {{}} }}\n{ORIGIN}ixfr = {{ on = true }}\n"),
        &[
            "1:8: error: node: found `5`; expected a table: [node]",
            "2:21: error: defaults.zone: found `1`; expected a table: [defaults.zone]",
            "2:24: error: defaults.nodes: found an unknown name; expected one of node, zone (did you mean \"node\"?)",
            "7:8: error: zone.\"z.example\".ixfr: found a table; expected true or false",
        ],
    );
}

#[test]
fn a_flood_of_errors_is_cut_short() {
    let text: String = (0..1000).map(|n| format!("a{n} = 1\n")).collect();
    let Err(diagnostics) = Network::parse(&text, "net.toml", &Files::default()) else { panic!("read nonsense") };
    assert_eq!(diagnostics.0.len(), 201);
    assert!(diagnostics.0[200].found.ends_with("more errors"), "{}", diagnostics.0[200]);
}

/// Any change of any bytes gives a network or diagnostics within the file, and nothing else.
#[test]
fn mutated_files_are_read_or_refused() {
    const ROUNDS: u32 = 3000;
    const SPICE: [&str; 12] = ["[", "]", "\"", "=", "\n", ".", "{", "'", "\\", "é", "\u{0}", "[zone."];
    let original: String = include_str!("../default.toml")
        .lines()
        .filter(|line| !line.starts_with("# "))
        .fold(String::new(), |text, line| text + line.trim_start_matches('#') + "\n");
    // A linear congruential generator (Knuth's MMIX): the same mutations in each run.
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut read = 0;
    for _ in 0..ROUNDS {
        let mut chars: Vec<char> = original.chars().collect();
        for _ in 0..=next(4) {
            let at = next(chars.len());
            let end = (at + next(6)).min(chars.len());
            let (spice, taken) = (SPICE[next(SPICE.len())], next(8));
            chars.splice(at..end, spice.chars().take(taken));
        }
        let text: String = chars.into_iter().collect();
        match Network::parse(&text, "n.toml", &Files::default()) {
            Ok(_) => read += 1,
            Err(diagnostics) => {
                assert!(!diagnostics.0.is_empty());
                let lines = text.lines().count() + 1;
                assert!(diagnostics.0.iter().all(|d| (1..=lines).contains(&d.line) && d.column > 0), "{diagnostics}");
            }
        }
    }
    assert!(read < ROUNDS);
}
