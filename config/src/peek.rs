//! What must be known of a network file before it can be trusted, or even be read as a whole.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::schema::{DEFAULTS, NODE, NODE_TABLE, Presence};

/// The item that is looked for.
const ITEM: &str = "state_dir";

/// The state folder of a node, as far as the text says so, however wrong the rest is; the default where it does not. A
/// node with delayed input has the file in force there. Without a name it is the only node's.
pub fn peek_state_dir(text: &str, file_name: &str, node: Option<&str>) -> PathBuf {
    let (document, _) = DeTable::parse_recoverable(text);
    let document = document.get_ref();
    let table = |table: &DeTable<'_>, name: &str| -> Option<String> {
        let value = table.get(name)?.get_ref().as_table()?.get(ITEM)?.get_ref();
        if let DeValue::String(text) = value { Some(text.to_string()) } else { None }
    };
    let inner = |name: &str| document.get(name).and_then(|value| value.get_ref().as_table());
    let own = inner(NODE).and_then(|nodes| match node {
        Some(node) => table(nodes, node),
        None => nodes.keys().next().and_then(|only| table(nodes, only.get_ref())),
    });
    let shared = || inner(DEFAULTS.name).and_then(|defaults| table(defaults, NODE));
    let folder = Path::new(file_name).parent().unwrap_or(Path::new(""));
    folder.join(own.or_else(shared).unwrap_or_else(by_default))
}

fn by_default() -> String {
    let item = NODE_TABLE.items.iter().find(|item| item.name == ITEM);
    match item.map(|item| item.presence) {
        Some(Presence::Default(text)) => text.trim_matches('"').to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_found_in_good_and_in_broken_files() {
        let check = |text: &str, node: Option<&str>, want: &str| {
            assert_eq!(peek_state_dir(text, "/etc/p/net.toml", node), Path::new(want), "{text}");
        };
        let good = "[defaults.node]\nstate_dir = \"all\"\n[node.a]\nstate_dir = \"/var/a\"\n[node.b]\n";
        check(good, Some("a"), "/var/a");
        check(good, Some("b"), "/etc/p/all");
        check("[node.a]\nstate_dir = \"own\"\n", None, "/etc/p/own");
        check("", Some("a"), "/var/lib/parapet");
        check("[node.a]\nstate_dir = 7\n", Some("a"), "/var/lib/parapet");
        check("[node.a]\nstate_dir = \"own\"\nlisten = [\nworkers = x x\n", Some("a"), "/etc/p/own");
    }
}
