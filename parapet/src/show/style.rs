//! Colours, for terminals alone: never into a pipe or a file, and not where NO_COLOR (<https://no-color.org>) is set.

use std::io::IsTerminal as _;

use origin_sync::Severity;

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Colours,
}

impl Style {
    /// What standard output takes.
    pub(crate) fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb { Self::Colours } else { Self::Plain }
    }

    /// A text in the colour of a severity.
    pub(crate) fn paint(self, severity: Option<Severity>, text: &str) -> String {
        let colour = match severity {
            Some(Severity::Critical) => "31;1",
            Some(Severity::Warning) => "33",
            None => "32",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colours => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        }
    }
}
