//! From the walked document to the checked structs: names, references between tables, and what must fit together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::check_key::{read_cookie_secrets, read_key};
use crate::diagnostic::{Diagnostic, Diagnostics, Sink, did_you_mean};
use crate::domain_name::normalise_domain_name;
use crate::model::{
    Config, Identity, Key, Lanes, Limits, LogFormat, Mode, Network, Node, OnExpire, Origin, Roles, Timers,
    TransferLimits, Zone,
};
use crate::prefix::Prefix;
use crate::reader::{Fill, Section, as_table, join, read_section, report_unknown};
use crate::schema::{self, Naming, Table};
use crate::value::{Found, Value};

/// Largest network file.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest path of a Unix socket (`sun_path` without its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Longest name of a node or an origin.
const LABEL_BYTES_MAX: usize = 63;

/// Gives the contents of files that hold secrets; the binary reads them, tests make them up.
pub trait SecretFiles {
    /// The file's text, or why it can't be read.
    fn read(&self, path: &Path) -> Result<SecretFile, String>;
}

/// A file that holds a secret.
pub struct SecretFile {
    /// Its text.
    pub text: String,
    /// Whether users other than its owner and group can read it.
    pub world_readable: bool,
}

/// What a file means, and what somebody should look at.
#[derive(Debug)]
pub struct Parsed<T> {
    /// What the file means.
    pub value: T,
    /// What somebody should look at.
    pub warnings: Vec<Diagnostic>,
}

/// The node is not in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no [node.{name}] in the network file; it has {known}{hint}")]
pub struct UnknownNode {
    name: String,
    known: String,
    hint: String,
}

impl Network {
    /// Reads a network file's text. `file_name` is how the user named it; relative paths start at its folder.
    pub fn parse(text: &str, file_name: &str, files: &dyn SecretFiles) -> Result<Parsed<Self>, Diagnostics> {
        let mut sink = Sink::new(file_name, text);
        if text.len() > FILE_BYTES_MAX {
            sink.error(0, "", format_args!("{} bytes", text.len()), format_args!("at most {FILE_BYTES_MAX}"));
            return Err(Diagnostics(sink.finish().0));
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let found = sink.excerpt(span.start..text.len().min(span.end.max(span.start + 1)));
            sink.error(span.start, "", found, format_args!("well-formed TOML ({})", error.message()));
            sink.incomplete = true;
        }
        let folder = Path::new(file_name).parent().unwrap_or(Path::new(""));
        let network = Checker { sink: &mut sink, folder, files }.network(document.get_ref());
        match sink.finish() {
            (warnings, false) => Ok(Parsed { value: network, warnings }),
            (diagnostics, true) => Err(Diagnostics(diagnostics)),
        }
    }

    /// What the machine with this node name needs.
    pub fn for_node(&self, name: &str) -> Result<Config, UnknownNode> {
        let Some(node) = self.nodes.get(name) else {
            let known: Vec<_> = self.nodes.keys().map(String::as_str).collect();
            return Err(UnknownNode {
                name: name.to_owned(),
                hint: did_you_mean(name, known.iter().copied()),
                known: if known.is_empty() { "no node at all".to_owned() } else { known.join(", ") },
            });
        };
        Ok(Config {
            network: self.name.clone(),
            node: node.clone(),
            keys: self.keys.clone(),
            origins: self.origins.clone(),
            zones: self.zones.clone(),
            cookie_secrets: self.cookie_secrets.clone(),
            cookies_required: self.cookies_required,
        })
    }
}

pub(crate) struct Checker<'c, 't> {
    pub(crate) sink: &'c mut Sink<'t>,
    pub(crate) folder: &'c Path,
    pub(crate) files: &'c dyn SecretFiles,
}

/// An entry of a table of tables: the name the file gives it, and its section.
type Entries = BTreeMap<String, Section>;

impl Checker<'_, '_> {
    fn network(&mut self, document: &DeTable<'_>) -> Network {
        for key in document.keys() {
            let known = schema::TABLES.iter().map(|table| table.name);
            if known.clone().all(|name| name != key.get_ref().as_ref()) {
                report_unknown(self.sink, "", key, known);
            }
        }
        let templates = self.templates(document);
        let shared = document.get_key_value(schema::NETWORK.name);
        let table = shared.and_then(|(_, value)| as_table(self.sink, schema::NETWORK.name, value));
        let at = shared.map_or(0, |(key, _)| key.span().start);
        let shared = read_section(self.sink, &schema::NETWORK, schema::NETWORK.name, table, at, Fill::From(None));

        let nodes = self.entries(&schema::NODE, document, templates.get(schema::NODE.name));
        let keys = self.entries(&schema::KEY_TABLE, document, None);
        let origins = self.entries(&schema::ORIGIN_TABLE, document, None);
        let zones = self.entries(&schema::ZONE, document, templates.get(schema::ZONE.name));
        self.check_use(&keys, &origins, &zones);
        Network {
            name: shared.text("name").unwrap_or_default().to_owned(),
            cookie_secrets: read_cookie_secrets(self, &shared),
            cookies_required: shared.boolean("cookies_required"),
            nodes: nodes.into_iter().map(|(name, section)| (name.clone(), self.node(name, &section))).collect(),
            origins: origins.iter().map(|(name, section)| (name.clone(), self.origin(name, section, &keys))).collect(),
            zones: zones.iter().map(|(name, section)| self.zone(name, section, &origins)).collect(),
            keys: keys.iter().filter_map(|(name, section)| Some((name.clone(), self.key(name, section)?))).collect(),
        }
    }

    fn key(&mut self, name: &str, section: &Section) -> Option<Key> {
        read_key(self, name, section)
    }

    /// `[defaults.node]` and `[defaults.zone]`.
    fn templates(&mut self, document: &DeTable<'_>) -> BTreeMap<&'static str, Section> {
        let mut templates = BTreeMap::new();
        let name = schema::DEFAULTS.name;
        let Some(defaults) = document.get(name).and_then(|value| as_table(self.sink, name, value)) else {
            return templates;
        };
        for (key, value) in defaults {
            let path = join(name, key.get_ref());
            let Some(schema) = schema::TEMPLATES.iter().find(|schema| schema.name == key.get_ref().as_ref()) else {
                report_unknown(self.sink, name, key, schema::TEMPLATES.iter().map(|schema| schema.name));
                continue;
            };
            let table = as_table(self.sink, &path, value);
            let section = read_section(self.sink, schema, &path, table, key.span().start, Fill::Nothing);
            templates.insert(schema.name, section);
        }
        templates
    }

    /// All `[table.NAME]` of one kind. Domain names come in one spelling, so that twins meet.
    fn entries(&mut self, schema: &Table, document: &DeTable<'_>, template: Option<&Section>) -> Entries {
        let mut entries: Entries = BTreeMap::new();
        let Some(value) = document.get(schema.name) else {
            return entries;
        };
        let Some(table) = as_table(self.sink, schema.name, value) else {
            return entries;
        };
        // In the order of the file, so that of twins the first counts.
        let mut in_order: Vec<_> = table.iter().collect();
        in_order.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in in_order {
            let path = join(schema.name, key.get_ref());
            let inner = as_table(self.sink, &path, value);
            let Some(name) = self.entry_name(schema, &path, key, value) else {
                continue;
            };
            let at = key.span().start;
            let section = read_section(self.sink, schema, &path, inner, at, Fill::From(template));
            if let Some(other) = entries.get(&name) {
                let (line, _) = self.sink.position(other.at);
                let found = format!("the same {} as in line {line}", schema.name);
                self.sink.error(at, &path, found, "each once");
                continue;
            }
            entries.insert(name, section);
        }
        entries
    }

    fn entry_name(
        &mut self,
        schema: &Table,
        path: &str,
        key: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<String> {
        let name = key.get_ref().as_ref();
        let wrong = match schema.naming {
            Naming::Single | Naming::Label => {
                let good = (1..=LABEL_BYTES_MAX).contains(&name.len())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
                if good {
                    return Some(name.to_owned());
                }
                format!("a name of 1 to {LABEL_BYTES_MAX} letters, digits, '.', '-' and '_'")
            }
            Naming::DomainName => match normalise_domain_name(name) {
                Ok(normal) => {
                    self.hint_at_unquoted(schema, path, &normal, value);
                    return Some(normal);
                }
                Err(why) => why.to_string(),
            },
        };
        self.sink.error(key.span().start, path, format_args!("{name:?}"), wrong);
        None
    }

    /// `[zone.example.com]` without quotes is a zone `example` with a table `com`: say so.
    fn hint_at_unquoted(&mut self, schema: &Table, path: &str, name: &str, value: &Spanned<DeValue<'_>>) {
        let Some(table) = value.get_ref().as_table() else {
            return;
        };
        for (key, value) in table {
            let inner = key.get_ref().as_ref();
            let known = schema.tables.iter().any(|table| table.name == inner)
                || schema.items.iter().any(|item| item.name == inner);
            if !known && value.get_ref().as_table().is_some() {
                let expected = format!("quotes round a name with dots: [{}.\"{name}{inner}\"]", schema.name);
                self.sink.error(key.span().start, &join(path, inner), "a name without quotes", expected);
            }
        }
    }

    fn path(&self, section: &Section, name: &str) -> Option<PathBuf> {
        section.text(name).map(|text| self.folder.join(text))
    }

    fn node(&mut self, name: String, section: &Section) -> Node {
        let state_dir = self.path(section, "state_dir").unwrap_or_default();
        let control = self.path(section, "control").unwrap_or_else(|| state_dir.join("control.sock"));
        if control.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            let found = format!("{:?}, {} bytes long", control.display(), control.as_os_str().len());
            let expected = format!("a path of at most {SOCKET_PATH_BYTES_MAX} bytes, as Unix sockets have it");
            self.sink.error(section.position("control"), &join(&section.path, "control"), found, expected);
        }
        let has_role = |role: &str| {
            section.list("roles").iter().any(|found| matches!(&found.value, Value::Text(text) if text == role))
        };
        let identity = section.section("identity");
        let limits = section.section("limits");
        let text = |name: &str| identity.text(name).map(str::to_owned);
        Node {
            name,
            roles: Roles { edge: has_role("edge") },
            listen: section.sockets(self.sink, "listen"),
            state_dir,
            control,
            metrics: section.socket("metrics"),
            workers: section.number("workers"),
            user: section.text("user").map(str::to_owned),
            identity: Identity {
                nsid: text("nsid").map(String::into_bytes),
                id_server: text("id_server"),
                version_bind: text("version_bind"),
            },
            limits: Self::limits(&limits),
            lanes: Lanes::Sockets,
            log: if section.text("log") == Some("json") { LogFormat::Json } else { LogFormat::Text },
        }
    }

    fn limits(section: &Section) -> Limits {
        Limits {
            udp_payload_bytes_max: section.number("udp_payload_bytes_max"),
            tcp_connections_max: section.number("tcp_connections_max"),
            tcp_connections_per_client_max: section.number("tcp_connections_per_client_max"),
            tcp_idle_ms: section.number("tcp_idle_ms"),
            tcp_receive_ms_max: section.number("tcp_receive_ms_max"),
            tcp_send_ms_max: section.number("tcp_send_ms_max"),
        }
    }

    fn origin(&mut self, name: &str, section: &Section, keys: &Entries) -> Origin {
        let addresses = section.sockets(self.sink, "addresses");
        let key = section.text("key").and_then(|key| self.resolve_key(section, key, keys));
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
        }
    }

    /// Keys are named by domain names, so a reference may be spelled as freely as they are.
    fn resolve_key(&mut self, section: &Section, key: &str, keys: &Entries) -> Option<String> {
        let normal = normalise_domain_name(key).unwrap_or_else(|_| key.to_owned());
        if keys.contains_key(&normal) {
            return Some(normal);
        }
        let at = section.position("key");
        self.unresolved(
            at,
            &join(&section.path, "key"),
            "key",
            key,
            keys.keys().map(|name| name.trim_end_matches('.')),
        );
        None
    }

    fn zone(&mut self, name: &str, section: &Section, origins: &Entries) -> Zone {
        let mut names: Vec<String> = Vec::new();
        for (index, found) in section.list("origins").iter().enumerate() {
            let Value::Text(origin) = &found.value else {
                continue;
            };
            let at = found.at.unwrap_or(section.at);
            let path = format!("{}[{index}]", join(&section.path, "origins"));
            if names.contains(origin) {
                self.sink.error(at, &path, format_args!("{origin:?} again"), "each origin once");
            } else if origins.contains_key(origin) {
                names.push(origin.clone());
            } else {
                self.unresolved(at, &path, "origin", origin, origins.keys().map(String::as_str));
            }
        }
        let timers = section.section("timers");
        let transfer = section.section("transfer");
        for item in ["refresh", "retry", "expire"] {
            self.check_order(&timers, &format!("{item}_s_min"), &format!("{item}_s_max"));
        }
        Zone {
            name: name.to_owned(),
            origins: names,
            mode: Mode::Push,
            timers: Timers {
                refresh_s_min: timers.number("refresh_s_min"),
                refresh_s_max: timers.number("refresh_s_max"),
                retry_s_min: timers.number("retry_s_min"),
                retry_s_max: timers.number("retry_s_max"),
                expire_s_min: timers.number("expire_s_min"),
                expire_s_max: timers.number("expire_s_max"),
                jitter_percent: timers.number("jitter_percent"),
            },
            transfer: TransferLimits {
                records_max: transfer.integer("records_max"),
                bytes_max: transfer.integer("bytes_max"),
                duration_s_max: transfer.number("duration_s_max"),
                idle_s_max: transfer.number("idle_s_max"),
            },
            on_expire: if section.text("on_expire") == Some("serve") { OnExpire::Serve } else { OnExpire::ServFail },
            ixfr: section.boolean("ixfr"),
        }
    }

    /// Reports two numbers of which the one that should be smaller isn't, at the one that the file sets.
    fn check_order(&mut self, section: &Section, small: &str, large: &str) {
        let (Some(low), Some(high)) = (section.found(small), section.found(large)) else {
            return;
        };
        let (low_number, high_number) = (section.integer(small), section.integer(large));
        if low_number <= high_number {
            return;
        }
        let by_default = |found: &Found| {
            if found.at.is_none() { " by default" } else { "" }
        };
        if low.at.is_some() || high.at.is_none() {
            let expected = format!("at most {large}, which is {high_number}{}", by_default(high));
            self.sink.error(section.position(small), &join(&section.path, small), low_number, expected);
        } else {
            let expected = format!("at least {small}, which is {low_number}{}", by_default(low));
            self.sink.error(section.position(large), &join(&section.path, large), high_number, expected);
        }
    }

    fn unresolved<'k>(&mut self, at: usize, path: &str, table: &str, name: &str, known: impl Iterator<Item = &'k str>) {
        if self.sink.incomplete {
            return;
        }
        let known: Vec<_> = known.collect();
        let expected = match known.as_slice() {
            [] => format!("the name of a [{table}.NAME], of which there is none"),
            [..] if known.len() <= 10 => format!("one of {}", known.join(", ")),
            [..] => format!("the name of a [{table}.NAME]"),
        };
        let hint = did_you_mean(name, known.into_iter());
        self.sink.error(at, path, format_args!("{name:?}"), expected + &hint);
    }

    /// Warns of keys and origins that nothing uses, and of a file without zones.
    fn check_use(&mut self, keys: &Entries, origins: &Entries, zones: &Entries) {
        if self.sink.incomplete {
            return;
        }
        let mentions = |section: &Section, name: &str| {
            section.list("origins").iter().any(|found| matches!(&found.value, Value::Text(text) if text == name))
        };
        for (name, section) in origins {
            if !zones.values().any(|zone| mentions(zone, name)) {
                self.sink.warning(section.at, &section.path, "an origin of no zone", "a zone with this origin");
            }
        }
        for (name, section) in keys {
            let normal = |key: &str| normalise_domain_name(key).unwrap_or_default();
            if !origins.values().any(|origin| origin.text("key").is_some_and(|key| normal(key) == *name)) {
                self.sink.warning(section.at, &section.path, "a key of no origin", "an origin with this key");
            }
        }
        if zones.is_empty() {
            self.sink.warning(0, "zone", "no zone", "at least one [zone.\"NAME\"], or every query is refused");
        }
    }
}
