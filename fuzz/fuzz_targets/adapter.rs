//! An event or a request of a Node server, to what the ClusterBridge would publish.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expeditor::fuzzing::from_node(bytes));
