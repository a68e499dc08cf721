//! Origins: where they answer, and what they and we must show each other.

use super::{Checker, Entries};
use crate::model::{Origin, Tls};
use crate::prefix::Prefix;
use crate::reader::{Section, join};
use crate::value::{DNS_PORT, DNS_TLS_PORT, Value};

impl Checker<'_, '_> {
    pub(super) fn origin(&mut self, name: &str, section: &Section, keys: &Entries) -> Origin {
        let tls = section.optional_section("tls").map(|tls| self.tls(tls));
        let port = if tls.is_some() { DNS_TLS_PORT } else { DNS_PORT };
        let addresses = section.sockets(self.sink, "addresses", port);
        let key = section.text("key").and_then(|key| self.resolve_key(section, "key", key, keys));
        if section.boolean("notify_key_required") && section.found("key").is_none() && !section.is_unreadable("key") {
            let path = join(&section.path, "notify_key_required");
            let at = section.position("notify_key_required");
            self.sink.error(at, &path, "true without a key", "a key that signs: key = \"NAME\"");
        }
        let notify_from = match section.found("notify_from") {
            Some(_) => section.prefixes("notify_from"),
            None => addresses.iter().map(|address| Prefix::from(address.ip())).collect(),
        };
        Origin {
            name: name.to_owned(),
            addresses,
            key,
            source_v4: section.ip("source_v4"),
            source_v6: section.ip("source_v6"),
            notify_from,
            notify_key_required: section.boolean("notify_key_required"),
            tls,
            cookies: section.boolean("cookies"),
        }
    }

    fn tls(&mut self, section: &Section) -> Tls {
        self.check_pair(section, "certificate", "key_file");
        if section.found("pins_sha256").is_some_and(|pins| pins.at.is_some()) && section.says("ca_file") {
            let path = join(&section.path, "ca_file");
            let expected = "one of ca_file and pins_sha256: with pins, no authority is asked";
            self.sink.warning(section.position("ca_file"), &path, "an item of no use here", expected);
        }
        let pin = |value: &Value| if let Value::Pin(pin) = value { Some(*pin) } else { None };
        Tls {
            server_name: section.text("server_name").map(str::to_owned),
            ca_file: self.path(section, "ca_file"),
            pins_sha256: section.list("pins_sha256").iter().filter_map(|found| pin(&found.value)).collect(),
            certificate: self.path(section, "certificate"),
            key_file: self.path(section, "key_file"),
        }
    }
}
