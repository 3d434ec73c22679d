//! Any bytes for `kevy_resp::fuzzing::decoder`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kevy_resp::fuzzing::decoder(data));
