//! The command line: words, JSON, exit codes, and commands that can be typed.
