//! changeover
pub mod changeover; pub mod cli; pub mod database; pub mod error; pub mod event; pub mod json; pub mod ledger; pub mod name; pub mod node; pub mod phase; pub mod plan; pub mod request; pub mod sample; pub mod schema;
pub use error::{Error, Result};
