//! Making indexes.

use crate::database::{Memory, Statement};

use super::Step;

/// Indexes are made once the rows are there, from sorted keys.
pub(super) fn make_indexes<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Step> {
    let make = |text: &str| Step::run("its index", Statement::new(text));
    let indexes: Vec<Step> = texts.map(make).collect();
    if indexes.is_empty() {
        return indexes;
    }
    let mut steps = vec![Step::run("memory for sorting", Memory::Sort.allot())];
    steps.extend(indexes);
    steps.push(Step::run(
        "and for the page cache again",
        Memory::Cache.allot(),
    ));
    steps
}
