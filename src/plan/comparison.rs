//! Whether a copy holds the rows of its table, but for those that the delta tells.

use super::Expect;
use super::agreement::other;
use super::copying::Copying;
use super::delta::Delta;
use super::sweep::Sweep;

/// Find rows that the copy lacks or holds otherwise, and rows that it alone has.
pub(super) fn comparison(copying: &Copying, delta: &Delta) -> [Sweep; 2] {
    [unlike(copying, delta), left_over(copying, delta)]
}

/// Finds rows of the live table that the shadow does not hold, or holds otherwise.
fn unlike(copying: &Copying, delta: &Delta) -> Sweep {
    let keys = copying.live.key_names();
    let numbered = |what: &str, values: &[String]| -> Vec<String> {
        let values = values.iter().zip(1..);
        values
            .map(|(value, at)| format!("{value} AS {what}_{at}"))
            .collect()
    };
    let key_values: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let mut inner = numbered("key", &key_values);
    inner.extend(numbered("value", &copying.values));
    let shadow = |column: &str| format!("shadow.{column}");
    let joined = copying.shadow.compared().into_iter().zip(1..);
    let joined: Vec<String> = joined
        .map(|(column, at)| format!("{} = live.key_{at}", shadow(&column)))
        .collect();
    let unlike = copying.columns.iter().zip(1..);
    let mut unlike: Vec<String> = unlike
        .map(|(column, at)| other(&shadow(column), &format!("live.value_{at}")))
        .collect();
    unlike.extend(
        copying
            .shadow
            .key_names()
            .iter()
            .map(|it| format!("shadow.{it} IS NULL")),
    );
    let live_keys: Vec<String> = (1..=keys.len())
        .map(|at| format!("live.key_{at}"))
        .collect();
    let shown = keys.iter().zip(&live_keys);
    let shown: Vec<String> = shown
        .map(|(name, key)| format!("{key} AS {name}"))
        .collect();
    Sweep {
        purpose: "look for rows that the copy does not hold as they are".to_owned(),
        path: copying.live.clone(),
        head: format!(
            "SELECT {} FROM (SELECT {} FROM {}",
            shown.join(", "),
            inner.join(", "),
            copying.live.table
        ),
        condition: copying.condition().to_owned(),
        tail: format!(
            ") AS live LEFT JOIN {} AS shadow ON {} WHERE ({}) AND {}",
            copying.shadow.table,
            joined.join(" AND "),
            unlike.join(" OR "),
            delta.lacks(&live_keys)
        ),
        expect: Expect::NoRow("the copy does not hold the rows of the table"),
    }
}

/// Finds rows of the shadow that the live table does not have.
fn left_over(copying: &Copying, delta: &Delta) -> Sweep {
    let names = copying.shadow.key_names();
    let keys: Vec<String> = names
        .iter()
        .map(|it| format!("{}.{it}", copying.shadow.table))
        .collect();
    let equal = copying.live.compared().into_iter().zip(&keys);
    let live = &copying.live.table;
    let mut equal: Vec<String> = equal
        .map(|(here, there)| format!("{live}.{here} = {there}"))
        .collect();
    equal.extend(copying.condition.clone());
    let condition = format!(
        "NOT EXISTS (SELECT 1 FROM {live} WHERE {}) AND {}",
        equal.join(" AND "),
        delta.lacks(&keys)
    );
    Sweep::new(
        "look for rows that are in the copy alone",
        &copying.shadow,
        condition,
        Expect::NoRow("the copy holds rows that the table does not have"),
    )
}
