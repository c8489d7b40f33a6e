//! The body of `POST /api/broadcast`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expeditor::fuzzing::publish_body(bytes));
