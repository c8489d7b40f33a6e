//! The running service under real clients. Every test starts an instance of its own on
//! a free port, and looks at the end whether anything of it is left.

mod support;

mod admin;
mod admin_page;
mod admin_ui;
mod audit;
mod bad_input;
mod biscuits;
mod client_library;
mod cluster;
mod cluster_node;
mod cluster_outage;
mod cluster_redis;
mod configuration;
mod crowd;
mod demo;
mod events;
mod isolation;
mod layering;
mod limits;
mod load;
mod matrix;
mod network_cut;
mod no_packet;
mod operations;
mod orders;
mod outage;
mod postgres;
mod postgres_databases;
mod postgres_reach;
mod publishing;
mod recovery;
mod recovery_chaos;
mod recovery_restart;
mod recovery_rights;
mod rights;
mod since;
mod slow;
mod store;
mod store_log;
mod supervision;
mod tokens;
mod tracing;
mod transports;
mod upgrade;
