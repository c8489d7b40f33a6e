//! What the command line does besides serving. Called by `main`; prints to standard output.

pub mod token;
