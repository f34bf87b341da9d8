//! Changes the schema of a SQLite file while old and new versions of an application keep running on it.
//!
//! A column gives way to another in three phases: *expand* adds the new column beside the old one, *migrate
//! data* copies the values, and *contract* puts the new column in the place of the old one. Each phase is
//! rehearsed on a replica of the schema, planned as SQL, run in transactions that carry their own record, and
//! answered from what the file then holds.
//!
//! ```
//! use changeover::request::{Contract, Expand, MigrateData, Request};
//! use changeover::{Changeover, Options, sample, unobserved};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("app.db");
//! sample::write(&path, sample::ROWS)?;
//! let mut changeover = Changeover::open(&path, Options::default())?;
//! let expand = Request::Expand(Expand {
//!     table: "users".into(),
//!     add_column: "full_name".into(),
//!     column_type: None,
//!     from: Some("name".into()),
//!     allow_breaking: false,
//! });
//! let applied = changeover.apply(&expand, &mut unobserved)?;
//! assert_eq!(applied.schema.as_deref(), Some("users (name, full_name NULL)"));
//! # Ok(())
//! # }
//! ```

pub mod census;
pub mod changeover;
#[doc(hidden)]
pub mod cli;
pub mod database;
pub mod error;
pub mod event;
pub mod gate;
pub mod instance;
#[doc(hidden)]
pub mod json;
pub mod ledger;
pub mod name;
#[doc(hidden)]
pub mod node;
pub mod phase;
pub mod plan;
#[doc(hidden)]
pub mod process;
pub mod request;
pub mod rollout;
pub mod sample;
pub mod schema;
#[doc(hidden)]
pub mod time;

pub use changeover::{Changeover, Options, Rebuilds, Status};
pub use error::{Code, Error, Result};
pub use event::{Event, unobserved};
pub use ledger::Entry;
pub use name::Name;
pub use phase::{Phase, State};
pub use plan::Plan;
