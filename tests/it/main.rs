//! The running service under real clients. Every test starts an instance of its own on
//! a free port, and looks at the end whether anything of it is left.

mod support;

mod bad_input;
mod biscuits;
mod client_library;
mod configuration;
mod demo;
mod events;
mod isolation;
mod layering;
mod load;
mod matrix;
mod no_packet;
mod recovery;
mod rights;
mod supervision;
mod tokens;
mod transports;
