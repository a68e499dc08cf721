//! What is wrong with a file: where, which item, what was found, what was expected; all of it at once.

use std::fmt;

/// Diagnostics of one file that are kept; what comes after only adds to a count.
pub(crate) const DIAGNOSTICS_MAX: usize = 200;

/// Bytes of a found value that are repeated in a diagnostic.
const FOUND_BYTES_MAX: usize = 80;

/// Whether a diagnostic stops the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used, and somebody should look at it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named by the user.
    pub file: String,
    /// Line, from 1; 0 where there is no file but a command line.
    pub line: usize,
    /// Column in characters, from 1; 0 where there is no line.
    pub column: usize,
    /// Whether the file can be used nevertheless.
    pub severity: Severity,
    /// The item's full name, such as `node.ams-1.listen[0]`; empty for the document as a whole.
    pub item: String,
    /// What stands there.
    pub found: String,
    /// What should stand there, or why what stands there is wrong.
    pub expected: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}: ", self.severity)?;
        if !self.item.is_empty() {
            write!(f, "{}: ", self.item)?;
        }
        write!(f, "found {}; expected {}", self.found, self.expected)
    }
}

/// Why a file can't be used: every diagnostic, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

/// Collects the diagnostics of one document and knows its lines.
pub(crate) struct Sink<'t> {
    file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
    list: Vec<Diagnostic>,
    left_out: usize,
    /// Set when the document has syntax errors: what seems to be missing may only be unreadable.
    pub(crate) incomplete: bool,
}

impl<'t> Sink<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { file, text, line_starts, list: Vec::new(), left_out: 0, incomplete: false }
    }

    pub(crate) fn error(&mut self, at: usize, item: &str, found: impl fmt::Display, expected: impl fmt::Display) {
        self.push(Severity::Error, at, item, found.to_string(), expected.to_string());
    }

    pub(crate) fn warning(&mut self, at: usize, item: &str, found: impl fmt::Display, expected: impl fmt::Display) {
        self.push(Severity::Warning, at, item, found.to_string(), expected.to_string());
    }

    fn push(&mut self, severity: Severity, at: usize, item: &str, found: String, expected: String) {
        if self.list.len() >= DIAGNOSTICS_MAX {
            self.left_out += 1;
            return;
        }
        let (line, column) = self.position(at);
        let diagnostic =
            Diagnostic { file: self.file.to_owned(), line, column, severity, item: item.to_owned(), found, expected };
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Line and column, from 1, of a byte offset.
    pub(crate) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        (line.max(1), column + 1)
    }

    /// The text at a span, shortened, for `found`.
    pub(crate) fn excerpt(&self, span: std::ops::Range<usize>) -> String {
        let piece = self.text.get(span).unwrap_or("").trim();
        match piece.lines().next() {
            None | Some("") => "nothing more".to_owned(),
            Some(line) => format!("`{}`", shorten(line)),
        }
    }

    /// All diagnostics in the order of the file, and whether one of them is an error.
    pub(crate) fn finish(mut self) -> (Vec<Diagnostic>, bool) {
        self.list.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        let failed = self.left_out > 0 || self.list.iter().any(|d| d.severity == Severity::Error);
        if self.left_out > 0
            && let Some(last) = self.list.last().cloned()
        {
            self.list.push(Diagnostic {
                severity: Severity::Error,
                item: String::new(),
                found: format!("{} more errors", self.left_out),
                expected: "these to be mended first".to_owned(),
                ..last
            });
        }
        (self.list, failed)
    }
}

/// A piece of text cut to a length that fits a line.
pub(crate) fn shorten(text: &str) -> String {
    if text.len() <= FOUND_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = FOUND_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or(""))
}

/// ` (did you mean "x"?)` for the name among `known` that `name` most resembles, or nothing.
pub(crate) fn did_you_mean<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> String {
    const LIKENESS_MIN: f64 = 0.6;
    known
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(String::new(), |(_, candidate)| format!(" (did you mean {candidate:?}?)"))
}
