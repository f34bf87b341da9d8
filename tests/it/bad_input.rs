//! Files, names and moments that nobody wishes for.
