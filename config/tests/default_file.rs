//! The commented default file is what the schema says, and is a good file itself.

mod support;

use config::schema::{Kind, Presence, TABLES, Table};
use config::{Defences, Limits, Network, Origin, Zone};
use support::{Files, KEY_FILE};

const DEFAULT_FILE: &str = include_str!("../default.toml");

fn files() -> Files {
    Files([("/etc/parapet/transfer.key", KEY_FILE), ("/etc/parapet/r1.password", "not a secret")].into())
}

#[test]
fn the_default_file_is_generated_from_the_schema() {
    assert!(
        DEFAULT_FILE == config::default_file(),
        "config/default.toml is old: cargo run -p config --example default-file > config/default.toml"
    );
}

#[test]
fn the_default_file_is_good() {
    let parsed = Network::parse(DEFAULT_FILE, "default.toml", &files()).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(parsed.warnings, []);
    assert_eq!(parsed.value.nodes["ams-1"].listen.len(), 2);
}

/// Takes the mark off each item that is commented out with `#name = value`.
#[test]
fn every_value_it_shows_is_good_too() {
    let all: String = DEFAULT_FILE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(item) if !item.starts_with(' ') && !line.contains("secret") => format!("{item}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    // The key's algorithm would contradict the key's file.
    let all = all.replace("\nalgorithm", "\n#algorithm");
    let parsed = Network::parse(&all, "default.toml", &files()).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(parsed.value.nodes["ams-1"].user.as_deref(), Some("parapet"));
    assert_eq!(parsed.value.origins["bind-1"].notify_from.len(), 1);
}

#[test]
fn every_default_holds_in_a_minimal_file() {
    fn walk(table: &Table, visit: &mut dyn FnMut(&Table, &config::schema::Item)) {
        table.items.iter().for_each(|item| visit(table, item));
        table.tables.iter().for_each(|inner| walk(inner, visit));
    }
    for table in TABLES {
        walk(table, &mut |table, item| {
            assert!(!item.about.is_empty() && item.about.ends_with('.'), "{}.{}", table.name, item.name);
            if let (Presence::Default(default), Kind::Integer { min, max }) = (item.presence, item.kind) {
                let number: u64 = default.parse().unwrap();
                assert!((min..=max).contains(&number), "{}.{} = {number}", table.name, item.name);
            }
        });
    }
    let text =
        "[node.n]\nlisten = [\"[::]:53\"]\n[origin.a]\naddresses = [\"192.0.2.53\"]\n[zone.z]\norigins = [\"a\"]\n";
    let network = Network::parse(text, "n.toml", &files()).unwrap_or_else(|all| panic!("{all}")).value;
    let (node, zone) = (&network.nodes["n"], &network.zones[0]);
    assert_eq!(node.limits.tcp_connections_max, 4096);
    assert_eq!(zone.transfer.bytes_max, 1 << 32);
    assert_eq!(zone.timers.expire_s_max, 2_419_200);
    assert!(zone.ixfr && network.name == "parapet");
    // What code makes up by `Default` means what a file without a word means.
    assert_eq!(node.limits, Limits::default());
    assert_eq!(node.defences, Defences::default());
    assert_eq!(*zone, Zone { name: "z.".to_owned(), origins: vec!["a".to_owned()], ..Zone::default() });
    let origin = &network.origins["a"];
    let (addresses, notify_from) = (origin.addresses.clone(), origin.notify_from.clone());
    assert_eq!(*origin, Origin { name: "a".to_owned(), addresses, notify_from, ..Origin::default() });
}

#[test]
fn the_file_in_the_readme_is_good_and_so_is_what_is_added_to_it() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<_> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).collect();
    let texts: Vec<_> = blocks.iter().map(|(text, _)| *text).collect();
    let check = |text: &str| {
        let parsed = Network::parse(text, "README.md", &files()).unwrap_or_else(|all| panic!("{all}\n{text}"));
        assert_eq!(parsed.warnings, []);
        parsed.value
    };
    assert_eq!(check(texts[0]).nodes.len(), 2);
    let all = check(&texts.join("\n"));
    assert_eq!((all.nodes.len(), all.zones.len(), all.catalogs.len(), all.services.len()), (4, 3, 1, 1));
    assert_eq!(all.apis().len(), 1);
}
