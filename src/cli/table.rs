//! Columns that stand below each other.

/// A head and rows, each column as wide as its widest cell; nothing where there is no row.
pub(super) fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|at| width(at).unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = vec![
            ["é".to_owned(), String::new()],
            ["abc".to_owned(), "1".to_owned()],
        ];
        assert_eq!(table(["a", "b"], rows), ["a    b", "é", "abc  1"]);
        assert!(table(["a"], Vec::new()).is_empty());
    }
}
