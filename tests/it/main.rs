//! The tests of changeover: one binary, a module a concern.

#![allow(missing_docs, clippy::unwrap_used)]

mod architecture;
mod documents;
mod oracle;
mod property;
mod support;
mod survive;
