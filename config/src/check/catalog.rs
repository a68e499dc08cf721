//! Catalog zones: their own transfer, and the templates of their members.

use std::collections::BTreeMap;

use super::zone::{timers, transfer, zonemd};
use super::{Checker, Tables};
use crate::model::{Catalog, Zone};
use crate::reader::{Section, join};
use crate::schema;

impl Checker<'_, '_> {
    pub(super) fn catalog(&mut self, name: &str, section: &Section, tables: &Tables) -> Catalog {
        let origins = self.origins_of(section, &tables.origins);
        self.check_timers(section);
        if let Some(zone) = tables.zones.get(name) {
            let (line, _) = self.sink.position(zone.at);
            let found = format!("the same name as the zone in line {line}");
            self.sink.error(section.at, &section.path, found, "one of both: a catalog is not served");
        }
        let template = match section.text("template") {
            Some(_) => self.member_template(section, &origins, tables),
            None => self.as_members(&tables.no_template, &origins, tables),
        };
        let mut groups = BTreeMap::new();
        for (label, group) in section.entries("group") {
            let value = group.text("value").unwrap_or(label).to_owned();
            let template = self.member_template(group, &origins, tables);
            if groups.insert(value.clone(), template).is_some() {
                self.sink.error(
                    group.position("value"),
                    &group.path,
                    format_args!("{value:?} again"),
                    "each group once",
                );
            }
        }
        Catalog {
            name: name.to_owned(),
            origins,
            timers: timers(section),
            transfer: transfer(section),
            ixfr: section.boolean("ixfr"),
            zonemd: zonemd(section),
            members_max: section.integer("members_max"),
            template,
            groups,
        }
    }

    /// What the template that a catalog or a group names makes of members.
    fn member_template(&mut self, section: &Section, origins: &[String], tables: &Tables) -> Zone {
        let Some(name) = section.text("template") else {
            return Zone::default();
        };
        if let Some(template) = tables.templates.get(name) {
            return self.as_members(template, origins, tables);
        }
        let (at, path) = (section.position("template"), join(&section.path, "template"));
        self.unresolved(at, &path, schema::TEMPLATE, name, tables.templates.keys().map(String::as_str));
        Zone::default()
    }

    fn as_members(&mut self, template: &Section, origins: &[String], tables: &Tables) -> Zone {
        let zone = self.zone("", template, &tables.origins);
        if zone.origins.is_empty() { Zone { origins: origins.to_vec(), ..zone } } else { zone }
    }
}
