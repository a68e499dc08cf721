//! Plain tables: columns as wide as their widest cell.

/// Lines of cells under a header; numbers stand right where the header ends with `#`.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let right: Vec<bool> = header.iter().map(|title| title.ends_with('#')).collect();
    let titles: Vec<String> = header.iter().map(|title| title.trim_end_matches('#').to_owned()).collect();
    let widths: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        let cells = row.iter().zip(&widths).zip(&right);
        let line: Vec<String> = cells
            .map(|((cell, width), right)| if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A duration as people say it: `0.4s`, `17s`, `5m12s`, `3h04m`, `12d07h`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..=9 => format!("{:.1}s", seconds.max(0.0)),
        10..=59 => format!("{whole}s"),
        60..=3599 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..=86_399 => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |seconds: f64, want: &str| assert_eq!(duration(seconds), want);
        check(0.0, "0.0s");
        check(-3.0, "0.0s");
        check(0.44, "0.4s");
        check(9.4, "9.4s");
        check(59.4, "59s");
        check(312.0, "5m12s");
        check(11_040.0, "3h04m");
        check(1_062_000.0, "12d07h");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["example.com.".to_owned(), "7".to_owned()], vec!["a.".to_owned(), "2026112101".to_owned()]];
        let want = "zone              serial\nexample.com.           7\na.            2026112101\n";
        assert_eq!(render(&["zone", "serial#"], &rows), want);
    }
}
