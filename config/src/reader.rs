//! Walks the parsed document by the schema: types, ranges, unknown and missing items; references come afterwards.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Sink, did_you_mean};
use crate::prefix::Prefix;
use crate::schema::{Item, Kind, Naming, Presence, Table};
use crate::value::{Found, Mismatch, Value, mismatch, read_value};

/// A table of the file whose values have the kinds of the schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Its full name, such as `node.ams-1.limits`.
    pub(crate) path: String,
    /// Byte offset of its header.
    pub(crate) at: usize,
    values: BTreeMap<&'static str, Found>,
    /// The tables within it; one that the file does not have is shared with the template's.
    sections: BTreeMap<&'static str, Rc<Section>>,
    /// The entries of tables within it that have many, by table and name.
    entries: BTreeMap<&'static str, BTreeMap<String, Section>>,
    /// Items of which the template's value stands for a missing one.
    inherited: Vec<&'static str>,
    /// Items that are there, with a value that was reported as wrong.
    unreadable: Vec<&'static str>,
}

/// What happens to items that are not there.
#[derive(Clone, Copy)]
pub(crate) enum Fill<'s> {
    /// As with [`Fill::From`], but what must be there may also stay away: the table is a template itself.
    Partly(Option<&'s Section>),
    /// They come from the template if it has them, or else from the schema.
    From(Option<&'s Section>),
}

impl<'s> Fill<'s> {
    fn template(self) -> Option<&'s Section> {
        match self {
            Self::Partly(template) | Self::From(template) => template,
        }
    }

    /// What the table `name` within the table is filled with.
    fn within(self, name: &str) -> Self {
        let inner = self.template().and_then(|template| template.sections.get(name)).map(Rc::as_ref);
        match self {
            Self::Partly(_) => Self::Partly(inner),
            Self::From(_) => Self::From(inner),
        }
    }
}

/// Longest name of a node, an origin and the like.
pub(crate) const LABEL_BYTES_MAX: usize = 63;

/// Most entries of a table within a table.
const INNER_ENTRIES_MAX: usize = 1024;

/// Whether a name is good for a `[table.NAME]`.
pub(crate) fn is_label(name: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Reads `document` as the table `schema` under the full name `path`.
pub(crate) fn read_section(
    sink: &mut Sink<'_>,
    schema: &Table,
    path: &str,
    document: Option<&DeTable<'_>>,
    at: usize,
    fill: Fill<'_>,
) -> Section {
    let mut section = Section { path: path.to_owned(), at, ..Section::default() };
    for (key, value) in document.into_iter().flatten() {
        let name = key.get_ref().as_ref();
        if let Some(item) = schema.items.iter().find(|item| item.name == name) {
            match read_item(sink, item, &join(path, name), value) {
                Some(found) => drop(section.values.insert(item.name, found)),
                None => section.unreadable.push(item.name),
            }
        } else if !schema.tables.iter().any(|table| table.name == name) {
            let known = schema.items.iter().map(|item| item.name).chain(schema.tables.iter().map(|table| table.name));
            report_unknown(sink, path, key, known);
        }
    }
    fill_in(sink, schema, &mut section, fill);
    for table in schema.tables {
        let here = document.and_then(|document| document.get_key_value(table.name));
        let inner_path = join(path, table.name);
        let inner = here.and_then(|(_, value)| as_table(sink, &inner_path, value));
        if table.naming == Naming::Label {
            section.entries.insert(table.name, read_entries(sink, table, &inner_path, inner, fill));
            continue;
        }
        let shared = fill.template().and_then(|template| template.sections.get(table.name));
        match (table.naming, inner, shared) {
            (Naming::Optional, None, None) => continue,
            // Nothing in such a table must be there. A file may have a million zones with the same defaults.
            (Naming::Single, None, Some(shared)) => drop(section.sections.insert(table.name, Rc::clone(shared))),
            _ => {
                let at = here.map_or(at, |(key, _)| key.span().start);
                let inner = read_section(sink, table, &inner_path, inner, at, fill.within(table.name));
                section.sections.insert(table.name, Rc::new(inner));
            }
        }
    }
    section
}

/// Reads the entries of a table within a table, such as `[catalog."NAME".group.NAME]`.
fn read_entries(
    sink: &mut Sink<'_>,
    schema: &Table,
    path: &str,
    document: Option<&DeTable<'_>>,
    fill: Fill<'_>,
) -> BTreeMap<String, Section> {
    let mut entries = BTreeMap::new();
    let shared = fill.template().and_then(|template| template.entries.get(schema.name));
    let fill_of = |name: &str| {
        let shared = shared.and_then(|shared| shared.get(name));
        match fill {
            Fill::Partly(_) => Fill::Partly(shared),
            Fill::From(_) => Fill::From(shared),
        }
    };
    for (key, value) in document.into_iter().flatten() {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        let path = join(path, name);
        let inner = as_table(sink, &path, value);
        if !is_label(name) {
            let expected = format!("a name of 1 to {LABEL_BYTES_MAX} letters, digits, '.', '-' and '_'");
            sink.error(at, &path, format_args!("{name:?}"), expected);
        } else if entries.len() >= INNER_ENTRIES_MAX {
            sink.error(at, &path, "one more", format_args!("at most {INNER_ENTRIES_MAX} of them"));
            break;
        } else {
            entries.insert(name.to_owned(), read_section(sink, schema, &path, inner, at, fill_of(name)));
        }
    }
    // What the template has and the table does not name.
    for (name, template) in shared.into_iter().flatten() {
        if !entries.contains_key(name) {
            let path = join(path, name);
            entries.insert(name.clone(), read_section(sink, schema, &path, None, template.at, fill_of(name)));
        }
    }
    entries
}

/// The table that stands there, or a diagnostic.
pub(crate) fn as_table<'d, 'i>(
    sink: &mut Sink<'_>,
    path: &str,
    value: &'d Spanned<DeValue<'i>>,
) -> Option<&'d DeTable<'i>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        let found = sink.excerpt(value.span());
        sink.error(value.span().start, path, found, format_args!("a table: [{path}]"));
    }
    table
}

/// Reports a key that the schema does not know.
pub(crate) fn report_unknown<'k>(
    sink: &mut Sink<'_>,
    path: &str,
    key: &Spanned<toml::de::DeString<'_>>,
    known: impl Iterator<Item = &'k str> + Clone,
) {
    let name = key.get_ref().as_ref();
    let hint = did_you_mean(name, known.clone());
    let all = known.collect::<Vec<_>>().join(", ");
    let expected = if all.is_empty() { "nothing here".to_owned() } else { format!("one of {all}{hint}") };
    sink.error(key.span().start, &join(path, name), "an unknown name", expected);
}

/// The full name of something within `path`; names that would be ambiguous are quoted.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

fn read_item(sink: &mut Sink<'_>, item: &Item, path: &str, value: &Spanned<DeValue<'_>>) -> Option<Found> {
    let at = value.span().start;
    let Kind::List { of, min, max } = &item.kind else {
        return match read_value(&item.kind, value.get_ref()) {
            Ok(value) => Some(Found { value, at: Some(at) }),
            Err(Mismatch { found, expected }) => {
                let unit = item.unit().map_or(String::new(), |unit| format!(", in {unit}"));
                sink.error(at, path, found, expected + &unit);
                None
            }
        };
    };
    let Some(elements) = value.get_ref().as_array() else {
        let Mismatch { found, expected } = mismatch(&item.kind, value.get_ref());
        sink.error(at, path, found, expected);
        return None;
    };
    if !(*min..=*max).contains(&(elements.len() as u64)) {
        sink.error(at, path, format_args!("a list of {}", elements.len()), item.kind.describe());
        return None;
    }
    let mut list = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let at = element.span().start;
        match read_value(of, element.get_ref()) {
            Ok(value) => list.push(Found { value, at: Some(at) }),
            Err(Mismatch { found, expected }) => sink.error(at, &format!("{path}[{index}]"), found, expected),
        }
    }
    (list.len() == elements.len()).then_some(Found { value: Value::List(list), at: Some(at) })
}

/// Puts template values and defaults where the table has none, and reports what is missing.
fn fill_in(sink: &mut Sink<'_>, schema: &Table, section: &mut Section, fill: Fill<'_>) {
    let (template, partly) = (fill.template(), matches!(fill, Fill::Partly(_)));
    for item in schema.items {
        if section.values.contains_key(item.name) || section.is_unreadable(item.name) {
            continue;
        }
        if partly && matches!(item.presence, Presence::Required(_)) {
            continue;
        }
        if let Some(found) = template.and_then(|template| template.values.get(item.name)) {
            section.values.insert(item.name, found.clone());
            section.inherited.push(item.name);
            continue;
        }
        match item.presence {
            Presence::Default(text) => {
                if let Some(value) = read_default(&item.kind, text) {
                    section.values.insert(item.name, Found { value, at: None });
                }
            }
            Presence::Optional(_) => {}
            Presence::Required(example) if !sink.incomplete => {
                let path = join(&section.path, item.name);
                let expected = format!("{}: {} = {example}", item.describe(), item.name);
                sink.error(section.at, &path, "nothing", expected);
            }
            Presence::Required(_) => {}
        }
    }
}

/// A default of the schema; a test reads all of them.
pub(crate) fn read_default(kind: &Kind, text: &str) -> Option<Value> {
    // Most are plain numbers, and a file may have many zones that don't set them.
    if let (Kind::Integer { .. }, Ok(number)) = (kind, text.parse()) {
        return Some(Value::Integer(number));
    }
    let value = DeValue::parse(text).ok()?;
    let Kind::List { of, .. } = kind else {
        return read_value(kind, value.get_ref()).ok();
    };
    let list = value.get_ref().as_array()?.iter();
    let list = list.map(|element| Some(Found { value: read_value(of, element.get_ref()).ok()?, at: None }));
    Some(Value::List(list.collect::<Option<_>>()?))
}

/// Typed look-ups. What is not there for an error reported before reads as empty, so that the walk goes on.
impl Section {
    pub(crate) fn found(&self, name: &str) -> Option<&Found> {
        self.values.get(name)
    }

    /// Whether an item is there with a value that was reported as wrong.
    pub(crate) fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(&name)
    }

    /// Where an item stands, or its table if it doesn't.
    pub(crate) fn position(&self, name: &str) -> usize {
        self.found(name).and_then(|found| found.at).unwrap_or(self.at)
    }

    /// Whether the table says an item itself, rather than its template or the schema.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.found(name).is_some_and(|found| found.at.is_some()) && !self.inherited.contains(&name)
    }

    /// The first item that the table says itself.
    pub(crate) fn first_said(&self) -> Option<&'static str> {
        self.values.keys().copied().find(|name| self.says(name))
    }

    pub(crate) fn section(&self, name: &str) -> Rc<Section> {
        self.sections.get(name).cloned().unwrap_or_default()
    }

    /// A table that counts only if it is there.
    pub(crate) fn optional_section(&self, name: &str) -> Option<&Section> {
        self.sections.get(name).map(Rc::as_ref)
    }

    /// The entries of a table within this one.
    pub(crate) fn entries(&self, name: &str) -> impl Iterator<Item = (&String, &Section)> {
        self.entries.get(name).into_iter().flatten()
    }

    pub(crate) fn boolean(&self, name: &str) -> bool {
        matches!(self.found(name), Some(Found { value: Value::Bool(true), .. }))
    }

    pub(crate) fn integer(&self, name: &str) -> u64 {
        match self.found(name) {
            Some(Found { value: Value::Integer(number), .. }) => *number,
            _ => 0,
        }
    }

    /// A number in a narrower type; the schema's ranges, which a test compares, make sure that it fits.
    pub(crate) fn number<T: TryFrom<u64> + Default>(&self, name: &str) -> T {
        T::try_from(self.integer(name)).unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.found(name) {
            Some(Found { value: Value::Text(text), .. }) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn ip(&self, name: &str) -> Option<IpAddr> {
        match self.found(name) {
            Some(Found { value: Value::Ip(ip), .. }) => Some(*ip),
            _ => None,
        }
    }

    pub(crate) fn socket(&self, name: &str) -> Option<SocketAddr> {
        match self.found(name) {
            Some(Found { value: Value::Socket(address), .. }) => Some(*address),
            _ => None,
        }
    }

    /// The address of another machine, with this port where none is given.
    pub(crate) fn address(&self, name: &str, port: u16) -> Option<SocketAddr> {
        match self.found(name) {
            Some(Found { value: Value::Address(address, given), .. }) => {
                Some(SocketAddr::new(*address, given.unwrap_or(port)))
            }
            _ => None,
        }
    }

    pub(crate) fn list(&self, name: &str) -> &[Found] {
        match self.found(name) {
            Some(Found { value: Value::List(list), .. }) => list,
            _ => &[],
        }
    }

    /// The texts of a list, each with where it stands.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = (&str, usize)> {
        self.list(name).iter().filter_map(|found| match &found.value {
            Value::Text(text) => Some((text.as_str(), found.at.unwrap_or(self.at))),
            _ => None,
        })
    }

    /// The addresses of a list, with this port where none is given; each twin is reported.
    pub(crate) fn sockets(&self, sink: &mut Sink<'_>, name: &str, port: u16) -> Vec<SocketAddr> {
        let mut seen = Vec::new();
        for (index, found) in self.list(name).iter().enumerate() {
            let address = match found.value {
                Value::Socket(address) => address,
                Value::Address(address, Some(given)) => SocketAddr::new(address, given),
                Value::Address(address, None) => SocketAddr::new(address, port),
                _ => continue,
            };
            if seen.contains(&address) {
                let path = format!("{}[{index}]", join(&self.path, name));
                sink.error(
                    found.at.unwrap_or(self.at),
                    &path,
                    format_args!("\"{address}\" again"),
                    "each address once",
                );
            } else {
                seen.push(address);
            }
        }
        seen
    }

    pub(crate) fn prefixes(&self, name: &str) -> Vec<Prefix> {
        let prefix = |found: &Found| {
            if let Value::Prefix(prefix) = found.value { Some(prefix) } else { None }
        };
        self.list(name).iter().filter_map(prefix).collect()
    }
}
