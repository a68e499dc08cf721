//! From the walked document to the checked structs: names, references between tables, and what must fit together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics, Sink, did_you_mean};
use crate::domain_name::normalise_domain_name;
use crate::model::Network;
use crate::reader::{Fill, LABEL_BYTES_MAX, Section, as_table, is_label, join, read_section, report_unknown};
use crate::schema::{self, Naming, Table};
use crate::value::Found;

mod anycast;
mod catalog;
mod defences;
mod fleet;
mod key;
mod lanes;
mod node;
mod origin;
mod service;
mod tree;
mod zone;

use key::{read_cookie_secrets, read_key};

/// Largest network file.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

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
}

pub(crate) struct Checker<'c, 't> {
    pub(crate) sink: &'c mut Sink<'t>,
    pub(crate) folder: &'c Path,
    pub(crate) files: &'c dyn SecretFiles,
}

/// An entry of a table of tables: the name the file gives it, and its section.
type Entries = BTreeMap<String, Section>;

/// All tables of the file that have many entries.
struct Tables {
    nodes: Entries,
    services: Entries,
    keys: Entries,
    origins: Entries,
    zones: Entries,
    templates: Entries,
    catalogs: Entries,
    /// What stands in for a template where none is named.
    no_template: Section,
}

impl Checker<'_, '_> {
    fn network(&mut self, document: &DeTable<'_>) -> Network {
        for key in document.keys() {
            let known = schema::TABLES.iter().map(|table| table.name);
            if known.clone().all(|name| name != key.get_ref().as_ref()) {
                report_unknown(self.sink, "", key, known);
            }
        }
        let defaults = self.defaults(document);
        let shared = document.get_key_value(schema::NETWORK.name);
        let table = shared.and_then(|(_, value)| as_table(self.sink, schema::NETWORK.name, value));
        let at = shared.map_or(0, |(key, _)| key.span().start);
        let shared = read_section(self.sink, &schema::NETWORK, schema::NETWORK.name, table, at, Fill::From(None));

        let zone_defaults = defaults.get(schema::ZONE.name);
        let node_defaults = defaults.get(schema::NODE);
        let tables = Tables {
            nodes: self.entries(&schema::NODE_TABLE, document, Fill::From(node_defaults)),
            services: self.entries(&schema::SERVICE_TABLE, document, Fill::From(None)),
            keys: self.entries(&schema::KEY_TABLE, document, Fill::From(None)),
            origins: self.entries(&schema::ORIGIN_TABLE, document, Fill::From(None)),
            zones: self.entries(&schema::ZONE, document, Fill::From(zone_defaults)),
            templates: self.entries(&schema::TEMPLATE_TABLE, document, Fill::Partly(zone_defaults)),
            catalogs: self.entries(&schema::CATALOG, document, Fill::From(None)),
            no_template: read_section(
                self.sink,
                &schema::TEMPLATE_TABLE,
                "defaults.zone",
                None,
                0,
                Fill::Partly(zone_defaults),
            ),
        };
        self.check_use(&tables, &shared);
        let Tables { keys, origins, zones, catalogs, .. } = &tables;
        let nodes: BTreeMap<_, _> =
            tables.nodes.iter().map(|(name, section)| (name.clone(), self.node(name, section, &tables))).collect();
        self.check_tree(&tables, &shared, &nodes);
        let zones: Vec<_> = zones.iter().map(|(name, section)| self.zone(name, section, origins)).collect();
        for (name, section) in &tables.nodes {
            if let Some(node) = nodes.get(name) {
                self.check_normal_rates(&section.section("defences"), &node.defences, &zones);
            }
        }
        let services = self.services(&tables.services);
        self.check_fleet(&tables, &shared, &nodes, &services);
        Network {
            name: shared.text("name").unwrap_or_default().to_owned(),
            node_key: shared.text("node_key").and_then(|key| self.resolve_key(&shared, "node_key", key, keys)),
            cookie_secrets: read_cookie_secrets(self, &shared),
            cookies_required: shared.boolean("cookies_required"),
            nodes,
            origins: origins.iter().map(|(name, section)| (name.clone(), self.origin(name, section, keys))).collect(),
            zones,
            catalogs: catalogs.iter().map(|(name, section)| self.catalog(name, section, &tables)).collect(),
            services,
            keys: keys
                .iter()
                .filter_map(|(name, section)| Some((name.clone(), read_key(self, name, section)?)))
                .collect(),
        }
    }

    /// `[defaults.node]` and `[defaults.zone]`, with the schema's defaults where they say nothing.
    fn defaults(&mut self, document: &DeTable<'_>) -> BTreeMap<&'static str, Section> {
        let name = schema::DEFAULTS.name;
        let defaults = document.get(name).and_then(|value| as_table(self.sink, name, value));
        for (key, _) in defaults.into_iter().flatten() {
            let known = schema::TEMPLATES.iter().map(|schema| schema.name);
            if known.clone().all(|name| name != key.get_ref().as_ref()) {
                report_unknown(self.sink, name, key, known);
            }
        }
        let read = |schema: &&'static Table| {
            let path = join(name, schema.name);
            let here = defaults.and_then(|defaults| defaults.get_key_value(schema.name));
            let table = here.and_then(|(_, value)| as_table(self.sink, &path, value));
            let at = here.map_or(0, |(key, _)| key.span().start);
            (schema.name, read_section(self.sink, schema, &path, table, at, Fill::Partly(None)))
        };
        schema::TEMPLATES.iter().map(read).collect()
    }

    /// All `[table.NAME]` of one kind. Domain names come in one spelling, so that twins meet.
    fn entries(&mut self, schema: &Table, document: &DeTable<'_>, fill: Fill<'_>) -> Entries {
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
            let section = read_section(self.sink, schema, &path, inner, at, fill);
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
            Naming::Single | Naming::Optional | Naming::Label => {
                if is_label(name) {
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

    /// Keys are named by domain names, so a reference may be spelled as freely as they are.
    fn resolve_key(&mut self, section: &Section, item: &str, key: &str, keys: &Entries) -> Option<String> {
        let normal = normalise_domain_name(key).unwrap_or_else(|_| key.to_owned());
        if keys.contains_key(&normal) {
            return Some(normal);
        }
        let at = section.position(item);
        self.unresolved(at, &join(&section.path, item), "key", key, keys.keys().map(|name| name.trim_end_matches('.')));
        None
    }

    /// Reports a twin of two files that only have a use together.
    fn check_pair(&mut self, section: &Section, one: &str, other: &str) {
        for (there, missing) in [(one, other), (other, one)] {
            if section.found(there).is_some() && section.found(missing).is_none() && !section.is_unreadable(missing) {
                let path = join(&section.path, there);
                let expected = format!("{missing} beside it");
                self.sink.error(section.position(there), &path, format_args!("no {missing}"), expected);
            }
        }
    }

    /// Warns of keys, origins and templates that nothing uses, and of a file without zones.
    fn check_use(&mut self, tables: &Tables, shared: &Section) {
        let Tables { keys, origins, zones, templates, catalogs, .. } = tables;
        if self.sink.incomplete {
            return;
        }
        let users = || zones.values().chain(templates.values()).chain(catalogs.values());
        for (name, section) in origins {
            if !users().any(|user| user.texts("origins").any(|(origin, _)| origin == name)) {
                self.sink.warning(section.at, &section.path, "an origin of no zone", "a zone with this origin");
            }
        }
        for (name, section) in keys {
            let is_it =
                |key: Option<&str>| key.is_some_and(|key| normalise_domain_name(key).unwrap_or_default() == *name);
            if !origins.values().any(|origin| is_it(origin.text("key"))) && !is_it(shared.text("node_key")) {
                self.sink.warning(section.at, &section.path, "a key of no origin", "an origin with this key");
            }
        }
        for (name, section) in templates {
            let used = |catalog: &Section| {
                let of_group = |(_, group): (&String, &Section)| group.text("template") == Some(name.as_str());
                catalog.text("template") == Some(name.as_str()) || catalog.entries("group").any(of_group)
            };
            if !catalogs.values().any(used) {
                self.sink.warning(
                    section.at,
                    &section.path,
                    "a template of no catalog",
                    "a catalog with this template",
                );
            }
        }
        if zones.is_empty() && catalogs.is_empty() {
            let expected = "at least one [zone.\"NAME\"] or [catalog.\"NAME\"], or every query is refused";
            self.sink.warning(0, "zone", "no zone", expected);
        }
    }
}
