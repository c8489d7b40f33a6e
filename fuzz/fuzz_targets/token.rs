//! A token, and an `Authorization` header; as JSON, the claims of a token whose signature holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| expeditor::fuzzing::token(text));
