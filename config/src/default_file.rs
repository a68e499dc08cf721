//! The commented default file, written from the schema.

use crate::schema::{ANYCAST, Item, Kind, Naming, Presence, TABLES, TEMPLATE, TEMPLATES, Table};

/// Columns of a comment.
const COLUMNS: usize = 118;

/// A network file with one of everything: what must be there is set to an example, what need not be is commented out
/// with its default or an example.
pub fn default_file() -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "The network file of Parapet: one file for all machines. Each finds itself by `parapet run --config FILE --node \
         NAME`; `parapet check FILE` says what is wrong with it. Relative paths start at this file's folder. Items that \
         are commented out show their default, or an example where they have none.",
    );
    for table in TABLES {
        text.push('\n');
        comment(&mut text, table.about);
        if table.name == TEMPLATE {
            text.push_str(&format!("[{TEMPLATE}.{}]\n", table.example));
            continue;
        }
        if table.name == "defaults" {
            for template in TEMPLATES {
                text.push_str(&format!("#[defaults.{}]\n", template.name));
            }
            continue;
        }
        // Who wants no anycast has no service.
        write_table(&mut text, table, &header(table, table.name), Place::Top { left_out: table.name == ANYCAST });
    }
    text
}

fn header(table: &Table, path: &str) -> String {
    match table.naming {
        Naming::Single | Naming::Optional => path.to_owned(),
        Naming::Label => format!("{path}.{}", table.example),
        Naming::DomainName if table.example.contains('.') => format!("{path}.{:?}", table.example),
        Naming::DomainName => format!("{path}.{}", table.example),
    }
}

/// Where a table stands.
#[derive(Clone, Copy)]
enum Place {
    /// At the top, and perhaps commented out as a whole.
    Top { left_out: bool },
    /// Within another, which is perhaps commented out as a whole.
    Within { left_out: bool },
}

fn write_table(text: &mut String, table: &Table, header: &str, place: Place) {
    // A table within another that need not be there is commented out as a whole, with all within.
    let (nested, left_out) = match place {
        Place::Top { left_out } => (false, left_out),
        Place::Within { left_out } => (true, left_out || table.naming != Naming::Single),
    };
    let hash = if left_out { "#" } else { "" };
    text.push_str(&format!("{hash}[{header}]\n"));
    let mut given = nested;
    for item in table.items {
        text.push('\n');
        comment(text, item.about);
        comment(text, &explain(item));
        let (mark, value) = match item.presence {
            Presence::Required(value) | Presence::Optional(value) if left_out => ("#", value),
            Presence::Required(example) => ("", example),
            // A key needs one of its optional items: the first.
            Presence::Optional(example) if table.name == crate::schema::KEY && !given => ("", example),
            // What the example above makes known is also used.
            Presence::Optional(example) if matches!(item.kind, Kind::Reference(_)) => ("", example),
            Presence::Optional(value) | Presence::Default(value) => ("#", value),
        };
        given = true;
        text.push_str(&format!("{mark}{} = {value}\n", item.name));
    }
    for inner in table.tables {
        text.push('\n');
        comment(text, inner.about);
        let header = format!("{header}.{}", self::header(inner, inner.name));
        write_table(text, inner, &header, Place::Within { left_out });
    }
}

fn explain(item: &Item) -> String {
    let kind = item.describe();
    match item.presence {
        Presence::Required(_) => format!("Required: {kind}."),
        Presence::Optional(_) => format!("Not set by default. Takes {kind}."),
        Presence::Default(default) => format!("Default {default}. Takes {kind}."),
    }
}

/// Writes a comment, broken at blanks.
fn comment(text: &mut String, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        if column > 0 && column + 1 + word.chars().count() > COLUMNS {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.push('#');
            column = 1;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.chars().count();
    }
    text.push('\n');
}
