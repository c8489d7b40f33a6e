//! What the tests stand on: an instance, stock clients, tokens, and waiting for conditions.

pub mod biscuits;
pub mod client;
pub mod cluster;
pub mod collector;
pub mod database;
pub mod house;
pub mod instance;
pub mod log;
pub mod mixed;
pub mod network;
pub mod people;
pub mod pgbouncer;
pub mod plain;
pub mod poller;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod redis;
pub mod staff;
pub mod stock;
pub mod wait;

pub use client::{Driver, client_library, event_args};
pub use instance::Instance;
pub use people::{SERVER_SECRET, USER_SECRET, token};
pub use wait::eventually;
