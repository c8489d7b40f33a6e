//! The Datalog of a biscuit's blocks, to the policy's decision.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| expeditor::fuzzing::biscuit(text));
