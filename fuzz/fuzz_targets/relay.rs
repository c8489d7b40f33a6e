//! A frame of another instance, with a seal and without, to what the ClusterBridge hands on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expeditor::fuzzing::frame(bytes));
