//! The bytes of a block that the holder of a biscuit appends, to the policy's decision.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expeditor::fuzzing::block(bytes));
