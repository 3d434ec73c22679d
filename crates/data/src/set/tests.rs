use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Model = BTreeSet<Vec<u8>>;

fn texts(set: SetRef<'_>) -> Model {
    let all: Vec<_> = set.iter().map(Item::to_vec).collect();
    let distinct: Model = all.iter().cloned().collect();
    assert_eq!(distinct.len(), all.len(), "a member comes twice");
    distinct
}

fn set_of<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>, limits: &Limits) -> Set {
    let mut set = Set::default();
    for text in texts {
        set.insert(Item::of(text.as_ref()), limits);
    }
    set
}

fn numbers(range: Range<i64>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

fn encoding(set: &Set) -> Encoding {
    Set::encoding(set.as_ref())
}

/// Changes over after a few members, so that short runs pass through all encodings.
fn small_limits(ints: usize, packed: usize) -> Limits {
    Limits {
        set_max_intset_entries: ints,
        set_max_listpack_entries: packed,
        set_max_listpack_value: 8,
        ..Limits::DEFAULT
    }
}

#[test]
fn encodings_change_over_as_in_redis() {
    let limits = &Limits::DEFAULT;
    let mut set = set_of(numbers(0..512), limits);
    assert_eq!(encoding(&set), Encoding::Intset);
    assert!(!set.insert(Item::Int(511), limits));
    assert_eq!(encoding(&set), Encoding::Intset);
    assert!(set.insert(Item::Int(512), limits));
    assert_eq!(encoding(&set), Encoding::Hashtable);

    let mut few = set_of(numbers(0..127), limits);
    few.insert(Item::Bytes(b"word"), limits);
    assert_eq!(encoding(&few), Encoding::Listpack);
    assert!(!few.insert(Item::Bytes(b"word"), limits));
    assert!(few.insert(Item::Bytes(b"another"), limits));
    assert_eq!(encoding(&few), Encoding::Hashtable);

    let mut many = set_of(numbers(0..128), limits);
    many.insert(Item::Bytes(b"word"), limits);
    assert_eq!(encoding(&many), Encoding::Hashtable);

    assert_eq!(encoding(&set_of([[b'x'; 64]], limits)), Encoding::Listpack);
    assert_eq!(encoding(&set_of([[b'x'; 65]], limits)), Encoding::Hashtable);
    let narrow = Limits { set_max_listpack_value: 2, ..Limits::DEFAULT };
    assert_eq!(encoding(&set_of(["123", "ab"], &narrow)), Encoding::Hashtable);
    assert_eq!(encoding(&set_of(["12", "ab"], &narrow)), Encoding::Listpack);
    let none = Limits { set_max_listpack_entries: 0, ..Limits::DEFAULT };
    assert_eq!(encoding(&set_of(["ab"], &none)), Encoding::Hashtable);
}

#[test]
fn what_is_expected_chooses_the_encoding() {
    let limits = &Limits::DEFAULT;
    let (int, word) = (Item::Int(1), Item::Bytes(b"a"));
    for (expected, first, chosen) in [
        (512, int, Encoding::Intset),
        (513, int, Encoding::Hashtable),
        (128, word, Encoding::Listpack),
        (129, word, Encoding::Hashtable),
    ] {
        let mut set = Set::default();
        set.expect(expected, first, limits);
        assert_eq!(encoding(&set), chosen, "{expected} {first:?}");
    }
    let mut packed = set_of(["a"], limits);
    packed.expect(128, int, limits);
    assert_eq!(encoding(&packed), Encoding::Listpack);
    packed.expect(129, int, limits);
    assert_eq!(encoding(&packed), Encoding::Hashtable);
    let mut ints = set_of(["1"], limits);
    ints.expect(512, word, limits);
    assert_eq!(encoding(&ints), Encoding::Intset);
    ints.expect(513, word, limits);
    assert_eq!(encoding(&ints), Encoding::Hashtable);
}

#[test]
fn what_adds_nothing_changes_nothing() {
    let limits = &Limits::DEFAULT;
    let mut set = set_of(["1", "2", "x"], limits);
    let again = || std::iter::repeat_n(Item::Int(1), 300);
    assert_eq!(set.extend(300, again(), limits), 0);
    assert_eq!(encoding(&set), Encoding::Listpack);
    assert_eq!(set.extend(301, again().chain([Item::Bytes(b"y")]), limits), 1);
    assert_eq!(encoding(&set), Encoding::Hashtable);
    let none = Limits { set_max_listpack_entries: 0, ..Limits::DEFAULT };
    let mut single = set_of(["x"], limits);
    assert_eq!(single.extend(1, [Item::Bytes(b"x")], &none), 0);
    assert_eq!(encoding(&single), Encoding::Listpack);
}

#[test]
fn a_large_set_is_dropped_in_slices_and_accounts_for_its_memory() {
    let limits = &Limits::DEFAULT;
    let mut set = set_of((0..2_000).map(|n| format!("member:{n:07}")), limits);
    assert!(set.is_heavy());
    let full = set.memory();
    assert!((2_000 * 29..2_000 * 45).contains(&full), "{full}");
    assert!(set.clone().memory().abs_diff(full) < full / 10);
    let mut freed = 0;
    loop {
        match set.free_slice(300) {
            0 => break,
            slice => freed += slice,
        }
        assert!(set.memory() < full);
    }
    assert_eq!(freed, 2_000);
    assert_eq!(set.memory(), allocated(size_of::<Table>()));
    assert!(!set_of(["a"], limits).is_heavy());
}

#[test]
fn a_walk_meets_every_member() {
    let limits = &Limits::DEFAULT;
    let set = set_of((0..1_000).map(|n| format!("m{n}")), limits);
    let (mut met, mut cursor, mut steps) = (Model::new(), 0, 0);
    loop {
        cursor = set.as_ref().walk(cursor, 10, |item| {
            met.insert(item.to_vec());
        });
        steps += 1;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(met, texts(set.as_ref()));
    assert!((20..=100).contains(&steps), "{steps}");
    let small = set_of(["1", "2", "x"], limits);
    let mut count = 0;
    assert_eq!(small.as_ref().walk(7, 1, |_| count += 1), 0);
    assert_eq!(count, 3);
}

/// How often each member is drawn must not differ from equal shares by more than five sigma.
fn assert_fair(set: &Set, mut draw: impl FnMut(SetRef<'_>, &mut Random) -> Vec<Vec<u8>>) {
    let (mut random, mut counts, mut draws) = (Random::new(3), BTreeMap::new(), 0_u32);
    while draws < 30_000 {
        for text in draw(set.as_ref(), &mut random) {
            *counts.entry(text).or_insert(0_u32) += 1;
            draws += 1;
        }
    }
    let members = set.as_ref().len() as f64;
    let expected = f64::from(draws) / members;
    let chi: f64 = texts(set.as_ref())
        .iter()
        .map(|text| f64::from(counts.get(text).copied().unwrap_or(0)) - expected)
        .map(|off| off * off / expected)
        .sum();
    assert!(chi < members + 5.0 * (2.0 * members).sqrt(), "{chi} for {members} members");
}

#[test]
#[cfg_attr(miri, ignore = "statistics need many draws and no pointers")]
fn draws_are_fair_in_every_encoding() {
    let limits = &Limits::DEFAULT;
    let words = |count: i64| set_of((0..count).map(|n| format!("member {n}")), limits);
    for set in [set_of(numbers(-10..90), limits), words(100), words(300)] {
        assert_fair(&set, |set, random| set.random(random).map(Item::to_vec).into_iter().collect());
        for count in [10, 90] {
            assert_fair(&set, |set, random| {
                let mut all = Vec::new();
                set.random_distinct(count, random, |item| all.push(item.to_vec()));
                assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), count);
                all
            });
            assert_fair(&set, |set, random| {
                let mut all = Vec::new();
                set.random_repeated(count, random, |item| all.push(item.to_vec()));
                assert_eq!(all.len(), count);
                all
            });
        }
        assert_fair(&set, |set, random| {
            let (mut copy, mut all) = (Set::default(), Vec::new());
            assert!(set.iter().all(|item| copy.insert(item, limits)));
            copy.pop_many(set.len() / 2, limits, random, |item| all.push(item.to_vec()));
            all.extend(copy.pop(random).map(|text| text.as_bytes().to_vec()));
            all
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "statistics need many draws and no pointers")]
fn draws_stay_fair_when_a_table_has_shrunk() {
    let limits = &Limits::DEFAULT;
    let mut set = set_of((0..20_000).map(|n| format!("m:{n}")), limits);
    for n in 30..20_000 {
        set.remove(Item::of(format!("m:{n}").as_bytes()));
    }
    assert_eq!((set.as_ref().len(), encoding(&set)), (30, Encoding::Hashtable));
    for count in [1, 9, 10, 29] {
        assert_fair(&set, |set, random| {
            let mut all = Vec::new();
            set.random_distinct(count, random, |item| all.push(item.to_vec()));
            all
        });
    }
}

#[test]
fn more_than_all_is_all() {
    let limits = &small_limits(3, 3);
    for count in [2, 3, 5] {
        let mut set = set_of((0..count).map(|n| format!("x{n}")), limits);
        let (mut random, mut drawn) = (Random::new(1), 0);
        set.as_ref().random_distinct(9, &mut random, |_| drawn += 1);
        assert_eq!(drawn, count);
        set.pop_many(9, limits, &mut random, |_| drawn -= 1);
        assert!(drawn == 0 && set.is_empty());
        assert!(set.pop(&mut random).is_none() && set.as_ref().random(&mut random).is_none());
        set.as_ref().random_repeated(0, &mut random, |_| drawn += 1);
        assert_eq!(drawn, 0);
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (-12_i64..12).prop_map(|value| value.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        3 => proptest::collection::vec(b'a'..b'd', 0..3),
        1 => proptest::collection::vec(any::<u8>(), 7..10),
        1 => Just(b"007".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 400 },
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_as_a_set(
        limits in (0usize..8, 0usize..8).prop_map(|(ints, packed)| small_limits(ints, packed)),
        steps in proptest::collection::vec((0u8..14, text(), any::<u64>()), 1..60),
    ) {
        let (mut set, mut model) = (Set::default(), Model::new());
        for (step, text, seed) in steps {
            let (item, random) = (Item::of(&text), &mut Random::new(seed));
            match step {
                0..8 => prop_assert_eq!(set.insert(item, &limits), model.insert(text.clone())),
                8 | 9 => prop_assert_eq!(set.remove(item), model.remove(&text)),
                10 => {
                    let popped = set.pop(random).map(|text| text.as_bytes().to_vec());
                    prop_assert_eq!(popped.is_none(), model.is_empty());
                    prop_assert!(popped.is_none_or(|text| model.remove(&text)));
                }
                11 => {
                    let (count, before) = (seed as usize % 12, model.len());
                    set.pop_many(count, &limits, random, |item| {
                        assert!(model.remove(&item.to_vec()), "{item:?}");
                    });
                    prop_assert_eq!(before - model.len(), count.min(before));
                }
                12 => {
                    let added = set.extend(seed as usize % 10, [item, item], &limits);
                    prop_assert_eq!(added == 1, model.insert(text.clone()));
                }
                _ => set.expect(seed as usize % 10, item, &limits),
            }
            let view = set.as_ref();
            prop_assert_eq!(view.len(), model.len());
            prop_assert_eq!(view.contains(&text), model.contains(&text));
            prop_assert_eq!(view.contains_item(Item::of(&text)), model.contains(&text));
            prop_assert_eq!(&texts(view), &model);
            if let Some((is_ints, bytes)) = set.inline() {
                prop_assert_eq!(&texts(Set::ref_inline(is_ints, bytes)), &model);
                prop_assert_eq!(encoding(&Set::from_inline(is_ints, bytes)), encoding(&set));
            }
        }
        let copy = set.clone();
        drop(set);
        prop_assert_eq!(&texts(copy.as_ref()), &model);
    }
}
