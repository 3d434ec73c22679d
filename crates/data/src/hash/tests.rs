//! Hashes against a model, and their encodings.

use super::*;
use crate::{Random, allocated};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::BTreeMap;

const LIMITS: HashLimits = HashLimits { entries: 8, length: 20 };

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, Vec<u8>, bool),
    Remove(Vec<u8>),
    Deadline(Vec<u8>, Option<i64>),
    RemoveExpired(Vec<u8>),
    Expire(usize),
    Pass(i64),
    Inline,
    Clone,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..14_u8).prop_map(|n| format!("f{n}").into_bytes()),
        4 => (-3..3_i64).prop_map(|n| n.to_string().into_bytes()),
        1 => Just(Vec::new()),
        1 => (19..23_usize).prop_map(|len| vec![b'n'; len]),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..12),
        Just(b"0017".to_vec()),
        prop_oneof![19..22_usize, Just(1_500)].prop_map(|len| vec![b'v'; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let deadline = prop::option::of(0..100_i64);
    prop_oneof![
        6 => (name(), value(), any::<bool>()).prop_map(|(n, v, keep)| Step::Set(n, v, keep)),
        2 => name().prop_map(Step::Remove),
        4 => (name(), deadline).prop_map(|(n, at)| Step::Deadline(n, at)),
        1 => name().prop_map(Step::RemoveExpired),
        1 => (0..4_usize).prop_map(Step::Expire),
        2 => (0..9_i64).prop_map(Step::Pass),
        2 => Just(Step::Inline),
        1 => Just(Step::Clone),
    ]
}

/// What is there at a time.
fn seen(hash: &Hash, now_ms: i64) -> Model {
    let mut seen = Model::new();
    hash.as_ref().at(now_ms).for_each(|field| {
        let other = seen.insert(field.name.to_vec(), (field.value.to_vec(), field.deadline));
        assert!(other.is_none(), "a field twice");
    });
    seen
}

fn live(model: &Model, now_ms: i64) -> Model {
    let live = |deadline: Option<i64>| deadline.is_none_or(|at| at >= now_ms);
    model.iter().filter(|(_, (_, at))| live(*at)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn check(hash: &Hash, model: &Model, now_ms: i64) {
    assert_eq!(seen(hash, i64::MIN), *model);
    let (fields, expected) = (hash.as_ref().at(now_ms), live(model, now_ms));
    assert_eq!(seen(hash, now_ms), expected);
    assert_eq!(fields.len(), expected.len());
    let deadlines = || model.values().map(|(_, at)| *at);
    assert_eq!(hash.as_ref().next_deadline(), deadlines().flatten().min());
    let last = deadlines().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    assert_eq!(hash.as_ref().last_deadline(), last);
    for (name, (value, deadline)) in model {
        let there = expected.contains_key(name);
        assert_eq!(fields.get(name).map(|held| held.to_vec()), there.then(|| value.clone()));
        assert_eq!(fields.deadline(name), there.then_some(*deadline));
    }
    assert_eq!(fields.get(b"no such field"), None);
    let mut random = Random::new(now_ms as u64);
    match fields.sample(&mut random) {
        Some(field) => assert!(expected.contains_key(&field.name.to_vec())),
        None => assert!(expected.is_empty()),
    }
    let mut chosen = BTreeMap::new();
    fields.choose(3, &mut random, |field| {
        chosen.insert(field.name.to_vec(), (field.value.to_vec(), field.deadline));
    });
    assert_eq!(chosen.len(), expected.len().min(3));
    assert!(chosen.iter().all(|(name, held)| expected.get(name) == Some(held)));
    let (mut met, mut cursor) = (Model::new(), 0);
    loop {
        cursor = fields.walk(cursor, 2, |field| {
            met.insert(field.name.to_vec(), (field.value.to_vec(), field.deadline));
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(met, expected);
}

proptest! {
    #![proptest_config(Config {
        cases: if cfg!(miri) { 4 } else { 400 },
        rng_seed: RngSeed::Fixed(0x6b65_7679),
        failure_persistence: None,
        ..Config::default()
    })]
    #[test]
    fn behaves_as_a_map(steps in prop::collection::vec(step(), 1..40)) {
        let (mut hash, mut model, mut now_ms) = (Hash::default(), Model::new(), 1);
        for step in steps {
            match step {
                Step::Set(name, value, keep) => {
                    let new = hash.set(&name, Text::Bytes(&value), keep, LIMITS);
                    let old = model.get(&name).map(|held| held.1);
                    prop_assert_eq!(new, old.is_none());
                    model.insert(name, (value, old.flatten().filter(|_| keep)));
                }
                Step::Remove(name) => {
                    prop_assert_eq!(hash.remove(&name), model.remove(&name).is_some());
                }
                Step::Deadline(name, at) => {
                    let at = at.map(|at| now_ms + at);
                    prop_assert_eq!(hash.set_deadline(&name, at), model.contains_key(&name));
                    model.entry(name).and_modify(|held| held.1 = at);
                }
                Step::RemoveExpired(name) => {
                    let expired = model.contains_key(&name)
                        && !live(&model, now_ms).contains_key(&name);
                    prop_assert_eq!(hash.remove_expired(&name, now_ms), expired);
                    if expired {
                        model.remove(&name);
                    }
                }
                Step::Expire(budget) => {
                    let mut due: Vec<_> =
                        model.iter().filter_map(|(name, held)| Some((held.1?, name.clone()))).collect();
                    due.retain(|(at, _)| *at < now_ms);
                    due.sort();
                    prop_assert_eq!(hash.as_ref().has_expired(now_ms), !due.is_empty());
                    let mut removed = Vec::new();
                    let count = hash.expire(now_ms, budget, |name| removed.push(name.to_vec()));
                    prop_assert_eq!(count, budget.min(due.len()));
                    prop_assert_eq!(count, removed.len());
                    for name in removed {
                        let at = model.remove(&name).and_then(|held| held.1);
                        prop_assert!(at <= due.get(count - 1).map(|due| due.0));
                    }
                }
                Step::Pass(ms) => now_ms += ms,
                Step::Inline => {
                    if let Some((timed, bytes)) = hash.inline() {
                        prop_assert!(PackedRef::check(bytes).is_some());
                        hash = Hash::from_inline(timed, bytes);
                    }
                }
                Step::Clone => hash = hash.clone(),
            }
            check(&hash, &model, now_ms);
            prop_assert_eq!(hash.is_empty(), model.is_empty());
        }
    }
}

fn filled(fields: usize) -> Hash {
    let mut hash = Hash::default();
    for at in 0..fields {
        hash.set(format!("f{at}").as_bytes(), Text::Int(at as i64), false, LIMITS);
    }
    hash
}

fn encoding(hash: &Hash) -> Encoding {
    Hash::encoding(hash.as_ref())
}

#[test]
fn encodings_follow_the_limits() {
    let mut hash = filled(8);
    assert_eq!(encoding(&hash), Encoding::Listpack);
    hash.set_deadline(b"f3", Some(5));
    assert_eq!(encoding(&hash), Encoding::ListpackEx);
    hash.set(b"f3", Text::Int(0), false, LIMITS);
    assert_eq!((encoding(&hash), hash.as_ref().next_deadline()), (Encoding::ListpackEx, None));
    hash.set(b"one more", Text::Int(0), false, LIMITS);
    assert_eq!(encoding(&hash), Encoding::Hashtable);

    for (field, value, expected) in [
        (&[b'x'; 20][..], &[b'x'; 20][..], Encoding::Listpack),
        (&[b'x'; 21], b"", Encoding::Hashtable),
        (b"", &[b'x'; 21], Encoding::Hashtable),
    ] {
        let mut hash = filled(1);
        hash.set(field, Text::Bytes(value), false, LIMITS);
        assert_eq!(encoding(&hash), expected);
    }
    let mut hash = filled(1);
    hash.prepare(8, LIMITS);
    assert_eq!(encoding(&hash), Encoding::Listpack);
    hash.prepare(9, LIMITS);
    assert_eq!((encoding(&hash), hash.as_ref().at(0).len()), (Encoding::Hashtable, 1));
}

#[test]
fn bytes_are_those_of_a_listpack_with_deadlines_in_order() {
    let mut hash = filled(3);
    hash.set_deadline(b"f2", Some(70_000));
    hash.set_deadline(b"f1", Some(300));
    let (timed, bytes) = hash.inline().expect("packed");
    let expected = b"\x29\0\0\0\x09\0\
        \x82f1\x03\x01\x01\xc1\x2c\x02\x82f2\x03\x02\x01\xf2\x70\x11\x01\x04\x82f0\x03\0\x01\0\x01\xff";
    assert_eq!((timed, &bytes[6..]), (true, &expected[6..]));
    assert_eq!(usize::from(bytes[0]), bytes.len());
}

#[test]
fn a_table_accounts_for_what_it_holds_and_is_freed_in_slices() {
    let mut hash = filled(5_000);
    assert!(hash.is_heavy());
    let per_field = hash.memory() / 5_000;
    assert!((16 + 8..16 + 8 + 32).contains(&per_field), "{per_field} bytes");
    for at in 0..5_000 {
        hash.set_deadline(format!("f{at}").as_bytes(), Some(at));
    }
    let copy = hash.clone();
    assert_eq!(hash.free_slice(2_000), 2_000);
    assert!(hash.memory() < copy.memory() * 3 / 4);
    while hash.free_slice(500) > 0 {}
    assert!(hash.is_empty() && !hash.is_heavy());
    assert_eq!(hash.memory(), allocated(size_of::<Table>()));
    assert_eq!(copy.as_ref().at(0).len(), 5_000);
}

#[test]
fn fields_are_drawn_alike_however_many_have_expired() {
    for fields in [6, 60] {
        let mut hash = filled(fields);
        for at in 0..fields / 2 {
            hash.set_deadline(format!("f{at}").as_bytes(), Some(10));
        }
        let (mut random, mut met) = (Random::new(5), BTreeMap::<Vec<u8>, usize>::new());
        let draws = 400 * fields;
        for _ in 0..draws {
            let drawn = hash.as_ref().at(11).sample(&mut random).expect("a field");
            *met.entry(drawn.name.to_vec()).or_default() += 1;
        }
        assert_eq!(met.len(), fields / 2);
        let mean = draws / met.len();
        assert!(met.values().all(|n| n.abs_diff(mean) < mean / 4), "{met:?}");
        assert!(hash.as_ref().at(11).get(b"f0").is_none());
        assert!(hash.as_ref().at(10).get(b"f0").is_some(), "not before its deadline has passed");
    }
}
