//! A `pid` that a client shows.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| expeditor::fuzzing::pid(text));
