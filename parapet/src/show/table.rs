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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["example.com.".to_owned(), "7".to_owned()], vec!["a.".to_owned(), "2026112101".to_owned()]];
        let want = "zone              serial\nexample.com.           7\na.            2026112101\n";
        assert_eq!(render(&["zone", "serial#"], &rows), want);
    }
}
