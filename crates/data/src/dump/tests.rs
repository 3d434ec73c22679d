use super::*;
use crate::stream::{Group, NodeLimits, Pending, StreamId};
use crate::{Item, NodeLimit, Side, StringRef, Text};
use proptest::prelude::*;
use std::fmt::Write;

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
    restore(b"key", payload, &Limits::DEFAULT, usize::MAX)
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
    let bounded = |max| restore(b"key", payload, &Limits::DEFAULT, max).is_ok();
    assert!(bounded(100) && !bounded(99));
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
        proptest::collection::vec(0..2_u8, 0..300),
    ]
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let ints = (-20..70_000_i64).prop_map(|value| value.to_string().into_bytes());
    prop_oneof![
        proptest::collection::vec(text(), 1..20),
        proptest::collection::vec(ints, 1..40),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..6), 1..40),
    ]
}

/// Limits that make values of a few dozen elements large ones.
fn tight() -> Limits {
    Limits {
        hash_max_listpack_entries: 8,
        list_max_listpack_size: 5,
        set_max_intset_entries: 12,
        set_max_listpack_entries: 8,
        zset_max_listpack_entries: 8,
        stream_node_max_entries: 4,
        ..Limits::DEFAULT
    }
}

/// A value of every type that is made of these strings.
fn values(texts: &[Vec<u8>], limits: &Limits) -> Vec<Record> {
    let mut list = List::default();
    let limit = NodeLimit::new(limits.list_max_listpack_size);
    texts.iter().for_each(|text| list.push(Side::Right, Text::Bytes(text), limit));
    let mut set = Set::default();
    texts.iter().for_each(|text| _ = set.insert(Item::of(text), limits));
    let mut scores = SortedSet::default();
    let mut fields = Hash::default();
    let mut timed = Hash::default();
    for (at, text) in texts.iter().enumerate() {
        let score = [0.0, -0.0, 1.5, -7.0, f64::INFINITY, 1e300][at % 6] * text.len() as f64;
        scores.update(text, limits, |_| Some(if score.is_nan() { 0.0 } else { score }));
        let value = Text::Bytes(&texts[texts.len() - 1 - at]);
        fields.set(text, value.clone(), false, limits.into());
        timed.set(text, value, false, limits.into());
        timed.set_deadline(text, (at % 3 > 0).then_some(1 + text.len() as i64 * 1000));
    }
    vec![
        Record::of(b"key", list, None),
        Record::of(b"key", set, None),
        Record::of(b"key", scores, None),
        Record::of(b"key", fields, None),
        Record::of(b"key", timed, None),
        Record::of(b"key", stream(texts), None),
    ]
}

/// A stream with groups and with entries that were deleted.
fn stream(texts: &[Vec<u8>]) -> Stream {
    let limits = NodeLimits { bytes: 4096, entries: 4 };
    let mut stream = Stream::new();
    let (entries, groups) = stream.parts_mut();
    let mut group = Group::new(StreamId::new(3, 1), Some(2));
    for (at, text) in texts.iter().enumerate() {
        let id = StreamId::new(at as u64 / 2 + 1, at as u64);
        let fields = [&b"field"[..], text, &texts[at / 3], b"7"];
        assert!(entries.append(id, fields.into_iter().take(2 + at % 2 * 2), limits));
        let (consumer, _) = group.consumer_or_create(&text[..text.len().min(2)], 1000 + at as i64);
        group.saw(consumer, 500 + at as i64, at % 4 == 0);
        let deliveries = at as u64 + 1;
        group.set_pending(id, Pending { delivered_ms: at as i64, deliveries, consumer });
        if at % 5 == 4 {
            entries.delete(StreamId::new(at as u64 / 2, at as u64 - 2));
        }
    }
    groups.create(b"empty", Group::new(StreamId::MIN, None));
    groups.create(b"group", group);
    stream
}

/// All that can be read of a value, however it is kept.
fn told(record: &Record) -> String {
    if let Some(string) = record.string() {
        return format!("{:?}", string.to_vec());
    }
    if let Some(list) = record.collection::<List>() {
        return format!("{:?}", list.iter().map(|element| element.to_vec()).collect::<Vec<_>>());
    }
    if let Some(set) = record.collection::<Set>() {
        let mut members: Vec<_> = set.iter().map(Item::to_vec).collect();
        members.sort();
        return format!("{members:?}");
    }
    if let Some(set) = record.collection::<SortedSet>() {
        // A packed set keeps -0 as 0.
        let members = set.iter().map(|(member, score)| (member.to_vec(), score + 0.0));
        return format!("{:?}", members.collect::<Vec<_>>());
    }
    if let Some(hash) = record.collection::<Hash>() {
        let mut fields = Vec::new();
        hash.at(i64::MIN).for_each(|field| {
            fields.push((field.name.to_vec(), field.value.to_vec(), field.deadline));
        });
        fields.sort();
        return format!("{fields:?}");
    }
    let stream = record.collection::<Stream>().unwrap();
    let mut told = String::new();
    for entry in stream.entries().range(StreamId::MIN, StreamId::MAX) {
        let fields = entry.fields.map(|(name, value)| (name.to_vec(), value.to_vec()));
        write!(told, "{} {:?} ", entry.id, fields.collect::<Vec<_>>()).unwrap();
    }
    let entries = stream.entries();
    let ids = [entries.last_id(), entries.first_id(), entries.max_deleted_id()];
    write!(told, "{ids:?} {} {}", entries.added(), entries.len()).unwrap();
    for (name, group) in stream.groups().iter() {
        write!(told, "{name:?} {} {:?}", group.last_id, group.entries_read).unwrap();
        for (id, pending) in group.pending_range(StreamId::MIN, StreamId::MAX) {
            let consumer = group.consumer(pending.consumer).name();
            let Pending { delivered_ms, deliveries, .. } = pending;
            write!(told, "{id} {delivered_ms} {deliveries} {consumer:?}").unwrap();
        }
        for consumer in group.consumers() {
            let (seen, active) = (consumer.seen_ms, consumer.active_ms);
            let pending: Vec<_> = consumer.pending_from(StreamId::MIN).collect();
            write!(told, "{:?} {seen} {active:?} {pending:?}", consumer.name()).unwrap();
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 100 },
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
    fn values_come_back(
        texts in texts(),
        compress in any::<bool>(),
        newest in any::<bool>(),
    ) {
        let format = Format { compress, version: newest.then_some(Version::V12) };
        for written in [Limits::DEFAULT, tight()] {
            for value in values(&texts, &written) {
                let payload = dump(&value, format);
                for read in [Limits::DEFAULT, tight()] {
                    let back = restore(b"key", &payload, &read, usize::MAX).unwrap_or_else(|_| panic!("{:?}", &payload[..1]));
                    prop_assert!(told(&back) == told(&value));
                    prop_assert_eq!(back.key(), b"key");
                    if read == written {
                        prop_assert_eq!(back.encoding(), value.encoding());
                    }
                    // What was read can be written again.
                    let again = restore(b"key", &dump(&back, format), &read, usize::MAX).unwrap();
                    prop_assert!(told(&again) == told(&value));
                }
            }
        }
    }

    #[test]
    fn damaged_values_are_examined(
        texts in texts(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let format = Format { compress: false, version: Some(Version::V12) };
        for value in values(&texts, &tight()) {
            let payload = dump(&value, format);
            let mut contents = payload[..payload.len() - FOOTER].to_vec();
            for (at, byte) in &damage {
                let at = at.index(contents.len());
                contents[at] ^= byte;
            }
            contents.truncate(cut.as_ref().map_or(contents.len(), |cut| cut.index(contents.len())));
            for limits in [Limits::DEFAULT, tight()] {
                if let Ok(record) = restore(b"key", &sealed(&contents, 12), &limits, usize::MAX) {
                    // Whatever it is now, it can be read throughout and written again.
                    let again = restore(b"key", &dump(&record, format), &limits, usize::MAX).unwrap();
                    prop_assert!(told(&again) == told(&record));
                }
            }
        }
    }

    #[test]
    fn any_contents_are_examined(
        code in 0..26_u8,
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let _ = restored(&sealed(&[&[code], &bytes[..]].concat(), 12));
    }
}

#[test]
fn integers_are_restored_as_such() {
    let record = restored(STRINGS[0].1).unwrap();
    assert_eq!(record.string(), Some(StringRef::Int(10)));
}
