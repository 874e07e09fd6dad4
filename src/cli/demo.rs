//! `coffer demo`: written in its own branch.
