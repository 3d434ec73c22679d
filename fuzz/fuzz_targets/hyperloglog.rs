//! Any bytes for `kevy_data::fuzzing::hyperloglog`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kevy_data::fuzzing::hyperloglog(data));
