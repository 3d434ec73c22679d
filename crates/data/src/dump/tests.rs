use super::*;
use crate::{StringRef, Text};
use proptest::prelude::*;

/// Payloads that redis-server 7.0.15 has answered for strings.
const STRINGS: &[(&[u8], &[u8])] = &[
    (b"10", b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb"),
    (b"-129", b"\x00\xc1\x7f\xff\n\x00\x17`\x82(T\x80\x84\x80"),
    (b"65536", b"\x00\xc2\x00\x00\x01\x00\n\x00\xc0\nk\xa7\x87a8\xda"),
    (b"12345678901", b"\x00\x0b12345678901\n\x000NR\xd7'\x17e\x10"),
    (b"-0", b"\x00\x02-0\n\x00\xd5A\x1f\xd9\xd6\xd0P\xcc"),
    (b"", b"\x00\x00\n\x00]\x9b\\@\x0f\x7f\xa2\xda"),
    (b"hello", b"\x00\x05hello\n\x00cr\xdfve4 \n"),
    (b"-2147483648", b"\x00\xc2\x00\x00\x00\x80\n\x00\xc7O\x87>3U\x81\x87"),
    (b"2147483648", b"\x00\n2147483648\n\x00\xe7\xb1)\xa3L\x1dv\xee"),
    (b"9223372036854775807", b"\x00\x139223372036854775807\n\x00:e~\x94\x81\xe8_\""),
];

fn restored(payload: &[u8]) -> Result<Record, Refused> {
    restore(b"key", payload, &Limits::DEFAULT)
}

fn string(payload: &[u8]) -> Result<Vec<u8>, Refused> {
    Ok(restored(payload)?.string().map(|text| text.to_vec()).unwrap_or_default())
}

/// A payload of these contents.
fn sealed(contents: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [contents, &version.to_le_bytes()].concat();
    payload.extend(CHECKSUM.checksum(&payload).to_le_bytes());
    payload
}

#[test]
fn strings_are_as_redis_writes_them() {
    for (text, payload) in STRINGS {
        let written = dump(&Record::new(b"key", Text::Bytes(text), None), Format::default());
        assert_eq!(written.escape_ascii().to_string(), payload.escape_ascii().to_string());
        assert_eq!(string(payload), Ok(text.to_vec()));
    }
}

#[test]
fn compressed_strings_of_redis_are_read() {
    let payload = b"\x00\xc3\t@d\x01aa\xe0W\x00\x01aa\n\x00\xe8\xa3\xb5\x07\xb0m\xf2q";
    assert_eq!(string(payload), Ok(vec![b'a'; 100]));
}

#[test]
fn lengths_have_their_shortest_form() {
    for (length, bytes) in [
        (0x3F, &b"\x3f"[..]),
        (0x40, b"\x40\x40"),
        (0x3FFF, b"\x7f\xff"),
        (0x4000, b"\x80\0\0\x40\0"),
        (0xFFFF_FFFF, b"\x80\xff\xff\xff\xff"),
        (1 << 32, b"\x81\0\0\0\x01\0\0\0\0"),
        (u64::MAX, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"),
    ] {
        let mut out = Vec::new();
        Writer::new(&mut out, Format::default()).length(length);
        assert_eq!(out, bytes);
        assert_eq!(Reader::new(&out).length(), Ok(length));
        assert!(Reader::new(&out[..out.len() - 1]).length().is_err(), "{length}");
    }
    assert_eq!(Reader::new(b"\x82\0\0\0\0\0\0\0\0").length(), Err(Malformed));
    assert_eq!(Reader::new(b"\xc0\x01").length(), Err(Malformed));
}

#[test]
fn the_footer_is_checked() {
    let payload = sealed(b"\x00\x01a", 12);
    assert_eq!(string(&payload), Ok(b"a".to_vec()));
    assert_eq!(string(&sealed(b"\x00\x01a", 6)), Ok(b"a".to_vec()));
    assert_eq!(string(&sealed(b"\x00\x01a", 13)), Err(Refused::Footer));
    for at in 0..payload.len() {
        let mut bytes = payload.clone();
        bytes[at] ^= 0x10;
        assert_eq!(string(&bytes), Err(Refused::Footer), "{at}");
        assert_eq!(string(&payload[..at]), Err(Refused::Footer), "{at}");
    }
}

#[test]
fn promises_are_not_believed() {
    for contents in [
        &b""[..],
        b"\xff",
        b"\x07\0",
        b"\x00",
        b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffabc",
        b"\x00\xc3\x03\x80\xff\xff\xff\xff\x00a\xe0",
        b"\x00\xc4",
        b"\x01\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x01a",
        b"\x01\0",
        b"\x12\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x01a",
        b"\x12\x01\x03\x01a",
    ] {
        assert_eq!(string(&sealed(contents, 10)), Err(Refused::Contents), "{contents:?}");
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        (-200..200_i64).prop_map(|value| value.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..80),
        proptest::collection::vec(0..2_u8, 0..3000),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn strings_come_back(text in text(), compress in any::<bool>()) {
        let format = Format { compress, ..Format::default() };
        for value in [Text::Bytes(&text), Text::Verbatim(&text)] {
            let payload = dump(&Record::new(b"key", value, None), format);
            prop_assert_eq!(string(&payload), Ok(text.clone()));
        }
    }

    #[test]
    fn any_contents_are_examined(code in 0..26_u8, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = restored(&sealed(&[&[code], &bytes[..]].concat(), 12));
    }
}

#[test]
fn integers_are_restored_as_such() {
    let record = restored(STRINGS[0].1).unwrap();
    assert_eq!(record.string(), Some(StringRef::Int(10)));
}
