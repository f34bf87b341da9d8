//! The arguments that say what an index is over.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use crate::name::Name;
use crate::request::Term;

const COLUMNS: &str = "columns";
const EXPRESSIONS: &str = "expr";
const DESCENDING: &str = "desc";
const COLLATIONS: &str = "collate";

/// Columns and expressions in the order in which they stand on the command line.
#[derive(Debug)]
pub(super) struct Terms(pub(super) Vec<Term>);

impl Args for Terms {
    fn augment_args(command: Command) -> Command {
        let option = |id, value_name, help| {
            Arg::new(id)
                .long(id)
                .value_name(value_name)
                .help(help)
                .action(ArgAction::Append)
        };
        command
            .arg(
                Arg::new(COLUMNS)
                    .value_name("COLUMN")
                    .num_args(1..)
                    .value_parser(value_parser!(Name))
                    .required_unless_present(EXPRESSIONS)
                    .help("The columns, in order"),
            )
            .arg(option(
                EXPRESSIONS,
                "SQL",
                "An expression, which stands in the index where it stands here; COLLATE and DESC may follow in it",
            ))
            .arg(
                option(DESCENDING, "COLUMN", "One of the columns that runs downwards")
                    .value_parser(value_parser!(Name)),
            )
            .arg(option(
                COLLATIONS,
                "COLUMN=COLLATION",
                "One of the columns that is compared otherwise than the table compares it",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Terms {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut terms: Vec<(usize, Term)> = Vec::new();
        for (at, column) in placed::<Name>(matches, COLUMNS) {
            let term = Term::Column {
                column,
                collation: None,
                descending: false,
            };
            terms.push((at, term));
        }
        for (at, expression) in placed::<String>(matches, EXPRESSIONS) {
            terms.push((at, Term::Expression { expression }));
        }
        terms.sort_by_key(|(at, _)| *at);
        let mut terms = Self(terms.into_iter().map(|(_, term)| term).collect());
        for (_, column) in placed::<Name>(matches, DESCENDING) {
            *terms.column(&column, DESCENDING)?.1 = true;
        }
        for (_, pair) in placed::<String>(matches, COLLATIONS) {
            // A column may have an equals sign in its name, and no collation of SQLite's has.
            let Some((column, collation)) = pair.rsplit_once('=') else {
                let why = format!("--collate takes COLUMN=COLLATION, not `{pair}`\n");
                return Err(Error::raw(ErrorKind::ValueValidation, why));
            };
            *terms.column(&column.into(), COLLATIONS)?.0 = Some(collation.into());
        }
        Ok(terms)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Terms {
    /// What is said of one of the columns: its collation, and whether it runs downwards.
    fn column(
        &mut self,
        name: &Name,
        option: &str,
    ) -> Result<(&mut Option<Name>, &mut bool), Error> {
        let found = self.0.iter_mut().find_map(|term| match term {
            Term::Column {
                column,
                collation,
                descending,
            } if column == name => Some((collation, descending)),
            _ => None,
        });
        found.ok_or_else(|| {
            let why = format!(
                "--{option} speaks of `{}`, which is not among the columns\n",
                name.as_str()
            );
            Error::raw(ErrorKind::ValueValidation, why)
        })
    }
}

/// The values of an argument, each with its place on the command line.
fn placed<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Vec<(usize, T)> {
    let values = matches.get_many::<T>(id).into_iter().flatten();
    let places = matches.indices_of(id).into_iter().flatten();
    places.zip(values.cloned()).collect()
}
