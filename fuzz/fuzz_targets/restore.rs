//! Any bytes as the contents of a payload: what they make can be read, and written again.

#![no_main]

use kevy_data::Limits;
use kevy_data::dump::{Format, Reader, dump, read, restore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::DEFAULT;
    if let Ok(record) = read(b"key", &mut Reader::new(data), &limits) {
        let payload = dump(&record, Format::default());
        let again = restore(b"key", &payload, &limits, usize::MAX).expect("our own payload");
        assert_eq!(record.kind(), again.kind());
    }
});
