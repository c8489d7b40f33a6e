//! The running service under real clients. Every test starts an instance of its own on
//! a free port, and looks at the end whether anything of it is left.

mod support;

mod admin;
mod admin_page;
mod admin_ui;
mod bad_input;
mod client_library;
mod configuration;
mod demo;
mod events;
mod isolation;
mod layering;
mod load;
mod operations;
mod recovery;
mod rights;
mod supervision;
mod transports;
