//! A sorted set against a plain sorted vector, small and large.

use super::*;
use crate::Change;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::ops::Bound;

/// Members and scores in order.
type Model = Vec<(f64, Vec<u8>)>;

const SMALL: Limits = Limits { zset_max_listpack_entries: usize::MAX, ..Limits::DEFAULT };
const LARGE: Limits = Limits { zset_max_listpack_entries: 0, ..Limits::DEFAULT };

fn contents(set: &SortedSet) -> Model {
    set.as_ref().iter().map(|(member, score)| (score, member.to_vec())).collect()
}

fn set_in(model: &mut Model, member: &[u8], score: f64) {
    model.retain(|(_, held)| held != member);
    let after = |held: &(f64, Vec<u8>)| (cmp_scores(held.0, score), held.1[..].cmp(member));
    let at = model.partition_point(|held| after(held) < (std::cmp::Ordering::Equal, 0.cmp(&0)));
    model.insert(at, (score, member.to_vec()));
}

#[derive(Debug, Clone)]
enum Step {
    Set(Vec<u8>, f64),
    Add(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveRange(usize, usize),
    Copy,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0_u32..400).prop_map(|number| number.to_string().into_bytes()),
        (0_u8..60).prop_map(|byte| vec![byte, 0xff - byte]),
        (0_u8..4, 20_usize..300).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-20_i32..20).prop_map(f64::from),
        (-20_i32..20).prop_map(|score| f64::from(score) / 4.0),
        prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e300, 0.1]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (member(), score()).prop_map(|(member, score)| Step::Set(member, score)),
        2 => (member(), -3_i32..3).prop_map(|(member, by)| Step::Add(member, by.into())),
        3 => member().prop_map(Step::Remove),
        1 => (0_usize..300, 0_usize..40).prop_map(|(from, len)| Step::RemoveRange(from, len)),
        1 => Just(Step::Copy),
    ]
}

fn run(steps: &[Step], limits: &Limits) -> Result<(SortedSet, Model), TestCaseError> {
    let (mut set, mut model) = (SortedSet::default(), Model::new());
    for step in steps {
        match step {
            Step::Set(member, score) => {
                let old = model.iter().find(|(_, held)| held == member).map(|held| held.0);
                let done = set.update(member, limits, |_| Some(*score));
                prop_assert_eq!(done, Scored { old, new: Some(*score) });
                if old != Some(*score) {
                    set_in(&mut model, member, *score);
                }
            }
            Step::Add(member, by) => {
                let old = model.iter().find(|(_, held)| held == member).map(|held| held.0);
                // Only what is there, and finite.
                let sum = old.map(|old| old + by).filter(|sum| sum.is_finite());
                let done = set.update(member, limits, |old| {
                    old.map(|old| old + by).filter(|sum| sum.is_finite())
                });
                prop_assert_eq!(done, Scored { old, new: sum });
                if let Some(sum) = sum.filter(|sum| Some(*sum) != old) {
                    set_in(&mut model, member, sum);
                }
            }
            Step::Remove(member) => {
                let old = model.iter().position(|(_, held)| held == member);
                let old = old.map(|at| model.remove(at).0);
                prop_assert_eq!(set.remove(member), old);
            }
            Step::RemoveRange(from, len) => {
                let end = (from + len).min(model.len());
                let gone = model.drain((*from).min(end)..end).count();
                prop_assert_eq!(set.remove_range(*from..from + len), gone);
            }
            Step::Copy => set = set.clone(),
        }
        prop_assert_eq!(set.as_ref().len(), model.len());
    }
    Ok((set, model))
}

fn lex<'a>(bound: Bound<&'a Vec<u8>>, unbounded: LexBound<'static>) -> LexBound<'a> {
    match bound {
        Bound::Included(member) => LexBound::Closed(member),
        Bound::Excluded(member) => LexBound::Open(member),
        Bound::Unbounded => unbounded,
    }
}

proptest! {
    #![proptest_config(Config {
        cases: if cfg!(miri) { 3 } else { 300 },
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn a_sorted_set_is_a_sorted_vector(
        steps in prop::collection::vec(step(), 0..if cfg!(miri) { 30 } else { 400 }),
        large in any::<bool>(),
        wanted in member(),
        (min, max) in (score(), score()),
        (min_open, max_open) in any::<(bool, bool)>(),
        (from, to) in (0_usize..200, 0_usize..200),
    ) {
        let limits = if large { LARGE } else { SMALL };
        let (mut set, model) = run(&steps, &limits)?;
        prop_assert_eq!(contents(&set), &model[..]);
        let view = set.as_ref();
        let place = model.iter().position(|(_, held)| *held == wanted);
        prop_assert_eq!(view.rank(&wanted), place.map(|rank| (rank, model[rank].0)));
        prop_assert_eq!(view.score(&wanted), place.map(|rank| model[rank].0));
        let range = ScoreRange {
            min: ScoreBound { score: min, open: min_open },
            max: ScoreBound { score: max, open: max_open },
        };
        let inside = |(score, _): &&(f64, Vec<u8>)| {
            (if min_open { *score > min } else { *score >= min })
                && (if max_open { *score < max } else { *score <= max })
        };
        let found = view.scores(&range);
        let expected: Vec<_> = model.iter().filter(inside).cloned().collect();
        prop_assert_eq!(&model[found], &expected[..]);
        if range.is_empty() {
            prop_assert!(expected.is_empty());
        }
        let end = to.min(model.len());
        let backwards: Model =
            view.range(from..to).rev().map(|(member, score)| (score, member.to_vec())).collect();
        prop_assert!(backwards.iter().rev().eq(&model[from.min(end)..end]));

        let (mut cursor, mut walked) = (0, Vec::new());
        loop {
            cursor = view.walk(cursor, 10, |member, score| walked.push((score, member.to_vec())));
            if cursor == 0 {
                break;
            }
        }
        walked.sort_by(|a, b| cmp_scores(a.0, b.0).then_with(|| a.1.cmp(&b.1)));
        prop_assert_eq!(walked, &model[..]);

        let mut builder = SortedSetBuilder::new();
        for (score, member) in &model {
            builder.add(member, |_| *score);
        }
        let built = builder.finish(&limits);
        prop_assert_eq!(contents(&built), &model[..]);
        if let Some(packed) = view.packed() {
            prop_assert!(SortedSet::from_packed(packed.to_packed()).is_some());
        }
        let held = set.memory();
        while set.free_slice(7) > 0 {
            prop_assert!(set.memory() <= held);
        }
    }

    #[test]
    fn members_of_one_score_are_found_by_their_bytes(
        members in prop::collection::btree_set(member(), 0..100),
        large in any::<bool>(),
        reverse in any::<bool>(),
        ends in any::<(prop::sample::Index, prop::sample::Index)>(),
        (low, high) in (0..3, 0..3),
    ) {
        let members: Vec<Vec<u8>> = members.into_iter().collect();
        let mut set = SortedSet::default();
        for member in &members {
            set.update(member, if large { &LARGE } else { &SMALL }, |_| Some(1.0));
        }
        let bound = |kind, at: prop::sample::Index| match kind {
            0 => Bound::Unbounded,
            _ if members.is_empty() => Bound::Unbounded,
            1 => Bound::Included(&members[at.index(members.len())]),
            _ => Bound::Excluded(&members[at.index(members.len())]),
        };
        let (min, max) = (bound(low, ends.0), bound(high, ends.1));
        let range = LexRange { min: lex(min, LexBound::Start), max: lex(max, LexBound::End) };
        let found = set.as_ref().members(&range, reverse);
        let inside = |member: &&Vec<u8>| {
            std::ops::RangeBounds::<Vec<u8>>::contains(&(min, max), *member)
        };
        let expected: Vec<_> = members.iter().filter(inside).cloned().collect();
        prop_assert_eq!(&members[found], &expected[..]);
    }
}

#[test]
fn limits_decide_when_a_set_becomes_large() {
    let limits = Limits { zset_max_listpack_entries: 3, ..Limits::DEFAULT };
    let mut set = SortedSet::default();
    for member in [b"a", b"b", b"c"] {
        set.update(member, &limits, |_| Some(1.5));
    }
    assert_eq!(SortedSet::encoding(set.as_ref()), Encoding::Listpack);
    set.update(b"c", &limits, |_| Some(2.5));
    assert_eq!(SortedSet::encoding(set.as_ref()), Encoding::Listpack);
    set.update(b"d", &limits, |_| Some(0.5));
    assert_eq!(SortedSet::encoding(set.as_ref()), Encoding::Skiplist);
    assert_eq!(set.as_ref().rank(b"d"), Some((0, 0.5)));
    // It stays so.
    assert_eq!(set.remove_range(0..3), 3);
    assert_eq!(SortedSet::encoding(set.as_ref()), Encoding::Skiplist);
    let mut set = SortedSet::default();
    set.update(&[b'x'; 65], &Limits::DEFAULT, |_| Some(1.0));
    assert_eq!(SortedSet::encoding(set.as_ref()), Encoding::Skiplist);
}

#[test]
fn scores_are_packed_as_integers_where_they_are_whole() {
    let mut set = SortedSet::default();
    for (member, score) in [("a", 3.0), ("b", -0.0), ("c", 0.5), ("d", f64::INFINITY), ("e", 1e22)]
    {
        set.update(member.as_bytes(), &SMALL, |_| Some(score));
    }
    let packed: Vec<Vec<u8>> =
        set.as_ref().packed().unwrap().iter().map(|item| item.to_vec()).collect();
    let expected = ["b", "0", "c", "0.5", "a", "3", "e", "1e+22", "d", "inf"];
    assert_eq!(packed, expected.map(|text| text.as_bytes().to_vec()));
    assert!(set.as_ref().score(b"b").is_some_and(f64::is_sign_positive));
}

#[test]
fn sequences_from_elsewhere_are_examined() {
    let packed = |texts: &[&str]| {
        let mut packed = Packed::new();
        texts.iter().for_each(|text| packed.push_back(Item::of(text.as_bytes())));
        SortedSet::from_packed(packed)
    };
    assert!(packed(&[]).is_some() && packed(&["a", "1", "b", "1", "a1", "1.5"]).is_some());
    for wrong in [
        &["a"][..],
        &["a", "x"],
        &["a", "nan"],
        &["b", "1", "a", "1"],
        &["a", "2", "b", "1"],
        &["a", "1", "a", "2"],
    ] {
        assert!(packed(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "many members")]
fn a_member_of_a_large_set_takes_at_most_85_bytes() {
    const MEMBERS: u64 = 200_000;
    let mut set = SortedSet::default();
    for member in 0..MEMBERS {
        let spread = member.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let name = format!("member:{member:010}");
        set.update(name.as_bytes(), &Limits::DEFAULT, |_| Some((spread >> 32) as f64));
    }
    assert!(set.memory() as u64 <= 85 * MEMBERS, "{}", set.memory() as u64 / MEMBERS);
    assert!(set.is_heavy());
}

#[test]
fn changes_inside_a_record_keep_the_order() {
    let mut record = crate::Record::of(b"key", SortedSet::default(), None);
    for at in 0..200_u32 {
        let member = format!("{}", at * 7 % 200);
        let changed = record.edit::<SortedSet, _>(|set| {
            set.update(member.as_bytes(), &Limits::DEFAULT, |_| Some(1.0));
            Change::Changed(())
        });
        assert!(changed.is_some());
    }
    let view = record.collection::<SortedSet>().unwrap();
    assert_eq!((view.len(), record.encoding()), (200, Encoding::Skiplist));
}
