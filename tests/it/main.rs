//! The tests of changeover: one binary, a module a concern.

#![allow(missing_docs)]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::struct_excessive_bools,
    clippy::unwrap_used
)]

mod alike;
mod application;
mod architecture;
mod bad_input;
mod cli;
mod crash;
mod documents;
mod full_disk;
mod gate;
mod hold;
mod indexes;
mod instances;
mod litestream;
mod neighbours;
mod node;
mod online;
mod oracle;
mod process;
mod property;
mod rollout;
mod runners;
mod stops;
mod strangers;
mod support;
mod survive;
mod terms;
mod turns;
mod twins;
mod verify;
mod warnings;
mod watch;
