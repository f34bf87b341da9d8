//! The name that somebody may have meant.

use crate::name::Name;

/// The name that differs least from the one asked for, if any is near.
pub fn nearest(asked: &Name, names: &[Name]) -> Option<Name> {
    let near = asked.as_str().chars().count() / 3 + 1;
    names
        .iter()
        .map(|name| (distance(asked.as_str(), name.as_str()), name))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.clone())
}

/// The edit distance of Levenshtein, letter case apart.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_a_near_one() {
        let names = ["users".into(), "orders".into()];
        assert_eq!(nearest(&"user".into(), &names), Some("users".into()));
        assert_eq!(nearest(&"Usres".into(), &names), Some("users".into()));
        assert_eq!(nearest(&"invoices".into(), &names), None);
    }
}
