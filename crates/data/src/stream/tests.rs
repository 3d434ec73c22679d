use super::*;
use crate::{Item, PackedRef};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

const LIMITS: NodeLimits = NodeLimits { bytes: 4096, entries: 100 };

type Content = Vec<(StreamId, Vec<Vec<u8>>)>;

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId::new(ms, seq)
}

fn add(entries: &mut Entries, id: StreamId, words: &str) -> bool {
    entries.append(id, words.split(' ').map(str::as_bytes), LIMITS)
}

fn texts(entry: Entry<'_>) -> (StreamId, Vec<Vec<u8>>) {
    let items = entry.fields.flat_map(|(name, value)| [name, value]);
    (entry.id, items.map(Item::to_vec).collect())
}

fn all(entries: &Entries) -> Content {
    entries.range(StreamId::MIN, StreamId::MAX).map(texts).collect()
}

fn ids(range: Range<'_>) -> Vec<u64> {
    range.map(|entry| entry.id.ms).collect()
}

#[test]
fn nodes_are_those_of_redis() {
    // Recorded from redis-server 7.0: DUMP of a stream of these entries, the second one deleted.
    let mut entries = Entries::default();
    assert!(add(&mut entries, id(1000, 1), "a 1 b hello"));
    assert!(add(&mut entries, id(1000, 2), "a 2 b 70000"));
    assert!(add(&mut entries, id(1005, 0), "x y"));
    assert!(entries.delete(id(1000, 2)));
    let expected = b"\x46\0\0\0\x19\0\x02\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\0\x01\x02\x01\0\x01\0\x01\x01\x01\
        \x85hello\x06\x05\x01\x03\x01\0\x01\x01\x01\x02\x01\xf2p\x11\x01\x04\x05\x01\0\x01\x05\x01\
        \xdf\xff\x02\x01\x01\x81x\x02\x81y\x02\x06\x01\xff";
    let nodes: Vec<_> = entries.packed_nodes().collect();
    assert_eq!(nodes, [(id(1000, 1), &expected[..])]);
}

#[test]
fn ids_must_grow() {
    let mut entries = Entries::default();
    assert!(!add(&mut entries, StreamId::MIN, "a 1"));
    assert!(add(&mut entries, id(5, 5), "a 1"));
    assert!(!add(&mut entries, id(5, 5), "a 1") && !add(&mut entries, id(4, 9), "a 1"));
    assert!(add(&mut entries, id(5, 6), "a 1"));
    assert!(entries.delete(id(5, 6)) && !add(&mut entries, id(5, 6), "a 1"));
    assert_eq!((entries.len(), entries.added(), entries.nodes()), (1, 2, 1));
}

fn numbered(count: u64) -> Entries {
    let mut entries = Entries::default();
    for ms in 1..=count {
        assert!(add(&mut entries, id(ms, 0), "field value"));
    }
    entries
}

#[test]
fn nodes_are_as_large_as_the_limits_say() {
    assert_eq!(numbered(1000).nodes(), 10);
    let mut entries = Entries::default();
    for ms in 1..=10 {
        let fields = [&b"f"[..], &[b'x'; 99]];
        assert!(entries.append(
            id(ms, 0),
            fields.into_iter(),
            NodeLimits { bytes: 350, entries: 0 }
        ));
    }
    // Three of some 110 bytes each fit.
    assert_eq!(entries.nodes(), 4);
    assert!(add(&mut entries, id(11, 0), "f v"));
    assert_eq!(entries.nodes(), 4);
}

#[test]
fn trimming_by_nodes_leaves_what_is_in_part() {
    let mut entries = numbered(1000);
    assert_eq!(entries.trim(TrimTo::Length(550), TrimHow::Nodes(10_000)), 400);
    assert_eq!((entries.len(), entries.first_id()), (600, id(401, 0)));
    assert_eq!(entries.trim(TrimTo::Length(10), TrimHow::Nodes(250)), 200);
    assert_eq!(entries.trim(TrimTo::Id(id(701, 0)), TrimHow::Nodes(u64::MAX)), 100);
    assert_eq!(entries.trim(TrimTo::Id(id(701, 0)), TrimHow::Exact), 0);
    assert_eq!(entries.trim(TrimTo::Id(id(712, 0)), TrimHow::Exact), 11);
    assert_eq!((entries.first_id(), entries.top_id()), (id(712, 0), id(1000, 0)));
    assert_eq!(entries.trim(TrimTo::Length(0), TrimHow::Exact), 289);
    assert_eq!((entries.nodes(), entries.memory()), (0, 0));
    assert_eq!((entries.first_id(), entries.last_id()), (StreamId::MIN, id(1000, 0)));
    assert_eq!(entries.max_deleted_id(), StreamId::MIN);
}

#[test]
fn a_node_of_deleted_entries_goes() {
    let mut entries = numbered(250);
    for ms in 201..=250 {
        assert!(entries.delete(id(ms, 0)) && !entries.delete(id(ms, 0)));
    }
    assert_eq!((entries.nodes(), entries.top_id()), (2, id(200, 0)));
    for ms in 150..=200 {
        assert!(entries.delete(id(ms, 0)));
    }
    // What is left before the id are the deleted ones behind it.
    assert_eq!(entries.trim(TrimTo::Id(id(160, 0)), TrimHow::Exact), 149);
    assert_eq!((entries.len(), entries.nodes()), (0, 0));
    assert_eq!(entries.max_deleted_id(), id(250, 0));
}

#[test]
fn ranges_run_both_ways_from_anywhere() {
    let mut entries = numbered(305);
    entries.delete(id(100, 0));
    entries.delete(id(101, 0));
    for (from, to) in [(0, 400), (1, 305), (99, 102), (100, 101), (50, 51), (250, 299), (305, 305)]
    {
        let expected: Vec<u64> =
            (from.max(1)..=to.min(305)).filter(|ms| !(100..=101).contains(ms)).collect();
        assert_eq!(ids(entries.range(id(from, 0), id(to, 0))), expected);
        let back: Vec<u64> = expected.into_iter().rev().collect();
        assert_eq!(ids(entries.range_back(id(from, 0), id(to, 0))), back);
    }
    assert_eq!(ids(entries.range(id(7, 1), id(8, 0))), [8]);
    assert_eq!(ids(entries.range(id(7, 1), id(7, 9))), [0; 0]);
    assert_eq!(ids(entries.range(id(9, 0), id(8, 0))), [0; 0]);
    assert_eq!(ids(entries.range_back(id(306, 0), StreamId::MAX)), [0; 0]);
}

#[test]
fn differences_within_a_node_wrap() {
    let mut entries = Entries::default();
    let given = [id(1, u64::MAX), id(2, 0), id(u64::MAX, 0), StreamId::MAX];
    for id in given {
        assert!(add(&mut entries, id, "a 1"));
    }
    assert_eq!(entries.nodes(), 1);
    let back: Vec<_> = entries.range_back(StreamId::MIN, StreamId::MAX).map(|e| e.id).collect();
    assert_eq!(back, given.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn nodes_written_are_nodes_read() {
    let mut entries = numbered(250);
    entries.delete(id(3, 0));
    let mut copy = Entries::default();
    for (first, bytes) in entries.packed_nodes() {
        assert!(!copy.push_node(id(first.ms + 1000, 0), &bytes[..bytes.len() - 1]));
        assert!(copy.push_node(first, bytes) && !copy.push_node(first, bytes));
    }
    assert!(!copy.restore(id(249, 0), entries.max_deleted_id(), 250));
    assert!(!copy.restore(id(250, 0), entries.max_deleted_id(), 248));
    assert!(copy.restore(entries.last_id(), entries.max_deleted_id(), entries.added()));
    assert_eq!(all(&copy), all(&entries));
    assert_eq!((copy.first_id(), copy.len()), (entries.first_id(), entries.len()));
    assert!(add(&mut copy, id(251, 0), "field value"));
    assert_eq!(copy.nodes(), 3);
}

/// The lag of a group without a count of its own.
fn lag(stream: &Stream, last_id: StreamId) -> Option<i64> {
    stream.lag(&Group::new(last_id, None))
}

#[test]
fn the_lag_is_told_where_it_is_known() {
    let mut stream = Stream::new();
    assert_eq!(lag(&stream, id(7, 7)), Some(0));
    *stream.entries_mut() = numbered(5);
    let known = |stream: &Stream| [0, 1, 2, 5, 6].map(|ms| lag(stream, id(ms, 0)));
    assert_eq!(known(&stream), [Some(5), Some(4), None, Some(0), None]);
    stream.entries_mut().delete(id(3, 0));
    assert_eq!(known(&stream), [None, None, None, Some(0), None]);
    stream.entries_mut().trim(TrimTo::Length(2), TrimHow::Exact);
    assert_eq!(known(&stream), [Some(2), Some(2), Some(2), Some(0), None]);
    let counted = Group::new(id(4, 0), Some(4));
    assert_eq!(stream.lag(&counted), Some(1));
    stream.entries_mut().delete(id(5, 0));
    assert_eq!(stream.lag(&counted), None);
    stream.entries_mut().trim(TrimTo::Length(0), TrimHow::Exact);
    assert_eq!(stream.lag(&Group::new(id(1, 0), Some(1))), Some(4));
    assert_eq!(known(&stream), [Some(0), Some(0), Some(0), Some(0), None]);
}

#[test]
fn what_is_pending_belongs_to_one_consumer() {
    let mut group = Group::default();
    let (bob, created) = group.consumer_or_create(b"bob", 10);
    let (alice, _) = group.consumer_or_create(b"alice", 20);
    assert!(created && group.consumer_or_create(b"bob", 30) == (bob, false));
    let pending = |consumer| Pending { delivered_ms: 1, deliveries: 1, consumer };
    for ms in 1..=5 {
        group.set_pending(id(ms, 0), pending(bob));
    }
    group.set_pending(id(2, 0), pending(alice));
    group.set_pending(id(2, 0), Pending { deliveries: 7, ..pending(alice) });
    let counts: Vec<_> = group.consumers().map(|c| (c.name(), c.pending_len())).collect();
    assert_eq!(counts, [(&b"alice"[..], 1), (b"bob", 4)]);
    assert_eq!(group.pending(id(2, 0)).map(|p| p.deliveries), Some(7));
    assert_eq!(group.remove_pending(id(1, 0)), Some(pending(bob)));
    assert_eq!(group.remove_pending(id(1, 0)), None);
    assert_eq!(group.delete_consumer(b"bob"), Some(3));
    assert_eq!((group.delete_consumer(b"bob"), group.find_consumer(b"bob")), (None, None));
    assert_eq!(group.pending_range(StreamId::MIN, StreamId::MAX).count(), 1);
    assert_eq!(group.pending_range(StreamId::MAX, StreamId::MIN).count(), 0);
    // The number of a deleted consumer is given again.
    let (carol, _) = group.consumer_or_create(b"carol", 30);
    assert_eq!(group.consumer(carol).name(), b"carol");
    assert_eq!(group.consumer(carol).pending_from(StreamId::MIN).count(), 0);
}

#[test]
fn the_longest_idle_come_first() {
    let mut group = Group::default();
    let (bob, _) = group.consumer_or_create(b"bob", 0);
    let (alice, _) = group.consumer_or_create(b"alice", 0);
    let at = |delivered_ms, consumer| Pending { delivered_ms, deliveries: 1, consumer };
    for (ms, time) in [(1, 50), (2, 10), (3, 30), (4, 30)] {
        group.set_pending(id(ms, 0), at(time, bob));
    }
    let idle = |group: &mut Group, until| -> Vec<u64> {
        group.idle_until(until, 3).into_iter().map(|id| id.ms).collect()
    };
    assert_eq!(idle(&mut group, 40), [2, 3, 4]);
    assert_eq!(idle(&mut group, 9), [0; 0]);
    // From now on it is kept in order.
    group.set_pending(id(2, 0), at(60, alice));
    group.set_pending(id(5, 0), at(5, alice));
    group.remove_pending(id(3, 0));
    assert_eq!(idle(&mut group, 60), [5, 4, 1]);
    group.delete_consumer(b"bob");
    assert_eq!(idle(&mut group, 60), [5, 2]);
}

#[test]
fn freeing_takes_everything_piece_by_piece() {
    let mut stream = Stream::new();
    *stream.entries_mut() = numbered(1000);
    for name in ["a", "b"] {
        assert!(stream.groups_mut().create(name.as_bytes(), Group::default()));
        let mut group = stream.groups_mut().get_mut(name.as_bytes()).unwrap();
        for n in 0..30 {
            let consumer = group.consumer_or_create(format!("c{}", n % 3).as_bytes(), 0).0;
            group.set_pending(id(n, 0), Pending { delivered_ms: 0, deliveries: 1, consumer });
        }
    }
    let mut total = 0;
    loop {
        let freed = stream.free_slice(7);
        assert!(freed <= 7);
        total += freed;
        if freed == 0 {
            break;
        }
    }
    // Nodes, both lists of pending entries, consumers and groups.
    assert_eq!(total, 10 + 2 * (30 + 30 + 3 + 1));
    assert!(stream.groups().is_empty() && stream.entries().nodes() == 0);
}

#[derive(Clone, Debug)]
enum Step {
    Add { ms: u64, seq: u64, words: Vec<Vec<u8>> },
    Delete(prop::sample::Index),
    TrimLength(u64, bool),
    TrimId(prop::sample::Index, bool),
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec![&b"a"[..], b"bb", b"17", b"-3"]).prop_map(<[u8]>::to_vec),
        1 => any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..90),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let field = (word(), word()).prop_map(|(name, value)| [name, value]);
    let words = prop::collection::vec(field, 1..4).prop_map(|fields| fields.concat());
    let exact = any::<bool>();
    prop_oneof![
        12 => (0..3u64, 0..3u64, words).prop_map(|(ms, seq, words)| Step::Add { ms, seq, words }),
        5 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => (0..30u64, exact).prop_map(|(len, exact)| Step::TrimLength(len, exact)),
        1 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, exact)| Step::TrimId(at, exact)),
    ]
}

/// The front of the model goes, as long as there is more than `excess` says.
fn trimmed(model: &mut Content, removed: u64, expected: usize, exact: bool) {
    let removed = removed as usize;
    assert!(removed <= expected && (!exact || removed == expected), "{removed} of {expected}");
    model.drain(..removed);
}

fn config() -> Config {
    Config {
        cases: if cfg!(miri) { 3 } else { 200 },
        rng_seed: RngSeed::Fixed(0x6b65_7679),
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn streams_are_as_their_model(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 12 } else { 120 }),
        bytes in 0usize..400,
        limit in 0usize..8,
    ) {
        let limits = NodeLimits { bytes, entries: limit };
        let (mut entries, mut model) = (Entries::default(), Content::new());
        let (mut last, mut added, mut max_deleted) = (StreamId::MIN, 0, StreamId::MIN);
        for step in steps {
            match step {
                Step::Add { ms, seq, words } => {
                    let id = id(last.ms + ms, if ms == 0 { last.seq + seq } else { seq });
                    let given = words.iter().map(Vec::as_slice);
                    let accepted = entries.append(id, given, limits);
                    prop_assert_eq!(accepted, id > last);
                    if accepted {
                        (last, added) = (id, added + 1);
                        model.push((id, words));
                    }
                }
                Step::Delete(at) if !model.is_empty() => {
                    let (id, _) = model.remove(at.index(model.len()));
                    max_deleted = max_deleted.max(id);
                    prop_assert!(entries.delete(id) && !entries.delete(id));
                }
                Step::TrimLength(len, exact) => {
                    let how = if exact { TrimHow::Exact } else { TrimHow::Nodes(u64::MAX) };
                    let expected = model.len().saturating_sub(len as usize);
                    trimmed(&mut model, entries.trim(TrimTo::Length(len), how), expected, exact);
                }
                Step::TrimId(at, exact) if !model.is_empty() => {
                    let how = if exact { TrimHow::Exact } else { TrimHow::Nodes(u64::MAX) };
                    let at = at.index(model.len());
                    let removed = entries.trim(TrimTo::Id(model[at].0), how);
                    trimmed(&mut model, removed, at, exact);
                }
                _ => {}
            }
            prop_assert_eq!(entries.len() as usize, model.len());
            prop_assert_eq!(entries.last_id(), last);
            prop_assert_eq!((entries.added(), entries.max_deleted_id()), (added, max_deleted));
            let edge = |entry: Option<&(StreamId, _)>| entry.map_or(StreamId::MIN, |entry| entry.0);
            prop_assert_eq!(entries.first_id(), edge(model.first()));
            prop_assert_eq!(entries.top_id(), edge(model.last()));
        }
        prop_assert_eq!(all(&entries), model.clone());
        let back = entries.range_back(StreamId::MIN, StreamId::MAX).map(texts);
        prop_assert_eq!(back.collect::<Content>(), model.iter().rev().cloned().collect::<Content>());
        for (at, (id, words)) in model.iter().enumerate() {
            prop_assert_eq!(entries.get(*id).map(|entry| texts(entry).1), Some(words.clone()));
            let from: Vec<_> = entries.range(*id, StreamId::MAX).map(|entry| entry.id).collect();
            prop_assert_eq!(from, model[at..].iter().map(|entry| entry.0).collect::<Vec<_>>());
        }
        let mut copy = Entries::default();
        for (first, bytes) in entries.packed_nodes() {
            prop_assert!(PackedRef::check(bytes).is_some());
            prop_assert!(copy.push_node(first, bytes));
        }
        prop_assert!(copy.restore(last, max_deleted, added));
        prop_assert_eq!(all(&copy), model);
        let held: usize = copy.packed_nodes().map(|(_, bytes)| bytes.len()).sum();
        prop_assert!(entries.memory() >= held);
        while entries.free_slice(1) > 0 {}
        prop_assert_eq!(entries.memory(), 0);
    }

    #[test]
    fn damaged_nodes_do_no_harm(
        words in prop::collection::vec(word(), 2..12),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut entries = Entries::default();
        for (at, pair) in words.chunks_exact(2).enumerate() {
            let id = id(5, at as u64 + 1);
            prop_assert!(entries.append(id, pair.iter().map(Vec::as_slice), LIMITS));
        }
        let (first, bytes) = entries.packed_nodes().next().unwrap();
        let mut bytes = bytes.to_vec();
        for (at, byte) in places {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut copy = Entries::default();
        if copy.push_node(first, &bytes) {
            let back = copy.range_back(StreamId::MIN, StreamId::MAX).count();
            prop_assert_eq!(all(&copy).len(), back);
            prop_assert_eq!(back as u64, copy.len());
            copy.delete(id(5, 1));
            copy.trim(TrimTo::Length(1), TrimHow::Exact);
        }
    }
}
