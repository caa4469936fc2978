#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| larder_repository::fuzzing::key_file(bytes));
