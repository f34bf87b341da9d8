//! The tests of changeover: one binary, a module a concern.

#![allow(missing_docs, clippy::unwrap_used)]

mod architecture;
mod bad_input;
mod cli;
mod documents;
mod node;
mod oracle;
mod process;
mod property;
mod support;
mod survive;
