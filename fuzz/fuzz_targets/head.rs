//! A request's head, up to the hand-over of its stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expeditor::fuzzing::head(bytes));
