//! expeditor: a real-time message broker for restaurants.
//!
//! The ways through the house, in order:
//! - **A connection:** [`app`] accepts; [`socket::handover`] (websocket) or
//!   [`socket::polling`] brings it to socketioxide; [`socket::reception`] asks [`access`] and
//!   [`store`] who it is and starts a [`actors::session`].
//! - **An event of a client:** [`socket::intake`] → [`actors::session`] → [`domain::command`] →
//!   [`access::policy`] → [`store`] → the answer.
//! - **An event for clients:** a publish → [`actors::registry`] → [`actors::room`] →
//!   [`actors::audience`] → [`socket::lane`] or [`socket::ordinary`].
//! - **An event for other instances:** [`actors::sequencer`] → [`actors::cluster_bridge`] → [`bus`] → Redis, and
//!   the same way back; what does not come that way is found in [`store`].
//! - **A token:** [`access::tokens`] verifies it, [`domain::warrant`] reads a biscuit, [`actors::session`]'s
//!   `identify` adds what the database knows; [`cli::token`] makes and revokes biscuits.
//! - **A stop:** [`shutdown`].

pub mod access;
pub mod actors;
pub mod app;
pub mod bus;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod schema;
pub mod shutdown;
pub mod socket;
pub mod store;
pub mod telemetry;

pub use app::App;
