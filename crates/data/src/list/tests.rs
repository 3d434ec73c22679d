//! Lists against a vector.

use super::*;
use proptest::prelude::*;

/// A reproducible run of so many cases.
pub(super) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(Side, Vec<Vec<u8>>),
    Insert(prop::sample::Index, Vec<u8>),
    Set(prop::sample::Index, Vec<u8>),
    Pop(Side, usize),
    Remove(prop::sample::Index, usize),
    RemoveEqual(prop::sample::Index, Side, usize),
    Reload,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0i64..12).prop_map(|value| value.to_string().into_bytes()),
        2 => prop::sample::select(vec![b"a".to_vec(), b"bb".to_vec(), vec![]]),
        3 => prop::collection::vec(any::<u8>(), 20..300),
        1 => (3000usize..10_000).prop_map(|len| vec![b'x'; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    let side = || prop::sample::select(vec![Side::Left, Side::Right]);
    prop_oneof![
        8 => (side(), prop::collection::vec(text(), 1..9)).prop_map(|(side, all)| Step::Push(side, all)),
        8 => (at(), text()).prop_map(|(at, text)| Step::Insert(at, text)),
        4 => (at(), text()).prop_map(|(at, text)| Step::Set(at, text)),
        4 => (side(), 0usize..9).prop_map(|(side, count)| Step::Pop(side, count)),
        3 => (at(), 0usize..30).prop_map(|(at, count)| Step::Remove(at, count)),
        2 => (at(), side(), 1usize..5).prop_map(|(at, side, most)| Step::RemoveEqual(at, side, most)),
        1 => (at(), side()).prop_map(|(at, side)| Step::RemoveEqual(at, side, usize::MAX)),
        1 => Just(Step::Reload),
    ]
}

fn apply(list: &mut List, model: &mut Vec<Vec<u8>>, step: Step, limit: NodeLimit) {
    match step {
        Step::Push(side, texts) => {
            list.extend(side, texts.iter().map(|text| Text::Bytes(text)), limit);
            for text in texts {
                let at = if side == Side::Left { 0 } else { model.len() };
                model.insert(at, text);
            }
        }
        Step::Insert(at, text) => {
            let index = at.index(model.len() + 1);
            list.insert(index, Text::Bytes(&text), limit);
            model.insert(index, text);
        }
        Step::Set(at, text) if !model.is_empty() => {
            let index = at.index(model.len());
            assert!(list.set(index, Text::Bytes(&text), limit));
            model[index] = text;
        }
        Step::Pop(side, count) => {
            let expected = count.min(model.len());
            assert_eq!(list.remove_at(side, count, limit), expected);
            let rest = model.len() - expected;
            match side {
                Side::Left => drop(model.drain(..expected)),
                Side::Right => model.truncate(rest),
            }
        }
        Step::Remove(at, count) => {
            let start = at.index(model.len() + 1);
            let expected = count.min(model.len() - start);
            assert_eq!(list.remove(start, count, limit), expected);
            model.drain(start..start + expected);
        }
        Step::RemoveEqual(at, side, at_most) if !model.is_empty() => {
            let wanted = model[at.index(model.len())].clone();
            let mut equal: Vec<_> = (0..model.len()).filter(|&at| model[at] == wanted).collect();
            if side == Side::Right {
                equal.reverse();
            }
            assert!(list.as_ref().matches(&wanted, side, usize::MAX).eq(equal.iter().copied()));
            equal.truncate(at_most);
            assert_eq!(list.remove_equal(&wanted, side, at_most, limit), equal.len());
            let mut index = 0;
            model.retain(|_| {
                index += 1;
                !equal.contains(&(index - 1))
            });
        }
        Step::Reload => {
            let mut loaded = List::default();
            list.as_ref().nodes().for_each(|node| loaded.push_node(node));
            loaded.settle(limit);
            *list = loaded;
        }
        _ => {}
    }
}

fn check(list: &List, model: &[Vec<u8>], limit: NodeLimit) {
    let view = list.as_ref();
    let texts: Vec<_> = view.iter().map(|element| element.to_vec()).collect();
    assert_eq!(texts, model);
    let backwards: Vec<_> = view.walk_all(Side::Right).map(|element| element.to_vec()).collect();
    assert!(backwards.iter().eq(model.iter().rev()));
    assert_eq!(view.len(), model.len());
    for index in [0, model.len() / 3, model.len() / 2, model.len().saturating_sub(1), model.len()] {
        assert_eq!(view.get(index).map(|element| element.to_vec()).as_ref(), model.get(index));
        for side in [Side::Left, Side::Right] {
            let next = view.walk(index, side).next().map(|element| element.to_vec());
            assert_eq!(next.as_ref(), model.get(index));
        }
    }
    match &list.form {
        Form::Packed(items) => assert!(PackedRef::check(items.as_ref().bytes()).is_some()),
        Form::Chain(chain) => chain.check(Some(limit)),
    }
}

proptest! {
    #![proptest_config(config(100))]
    #[test]
    fn behaves_as_a_vector(
        steps in prop::collection::vec(step(), 1..120),
        configured in prop::sample::select(vec![-2i64, -1, 0, 1, 3, 20]),
    ) {
        let limit = NodeLimit::new(configured);
        let (mut list, mut model) = (List::default(), Vec::new());
        for step in steps {
            apply(&mut list, &mut model, step, limit);
            check(&list, &model, limit);
        }
    }
}

const LIMIT: NodeLimit = NodeLimit::new(-2);

fn chain(list: &List) -> &Chain {
    match &list.form {
        Form::Chain(chain) => chain,
        Form::Packed(_) => panic!("a packed list"),
    }
}

/// Few elements in each node, so that chunks are divided and joined.
#[test]
fn many_nodes_are_kept_in_order() {
    for configured in [1, 4] {
        let limit = NodeLimit::new(configured);
        let (mut list, mut model) = (List::default(), Vec::<i64>::new());
        let mut seed = 7_usize;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            (seed >> 33) % below
        };
        for round in 0..240 {
            // Grows to some thousand elements and shrinks to some tens, twice.
            if round % 120 < 60 {
                for _ in 0..40 * configured {
                    let (at, value) = (random(model.len() + 1), random(9) as i64);
                    list.insert(at, Text::Int(value), limit);
                    model.insert(at, value);
                }
            } else {
                let start = random(model.len() + 1);
                let count = random(90).min(model.len() - start);
                assert_eq!(list.remove(start, count, limit), count);
                model.drain(start..start + count);
                let (wanted, at_most) = (random(9) as i64, 1 + random(25));
                let side = if random(2) == 0 { Side::Left } else { Side::Right };
                let mut equal: Vec<_> =
                    (0..model.len()).filter(|&at| model[at] == wanted).collect();
                if side == Side::Right {
                    equal.reverse();
                }
                equal.truncate(at_most);
                let removed =
                    list.remove_equal(wanted.to_string().as_bytes(), side, at_most, limit);
                assert_eq!(removed, equal.len());
                let mut index = 0;
                model.retain(|_| {
                    index += 1;
                    !equal.contains(&(index - 1))
                });
            }
            assert!(list.as_ref().iter().eq(model.iter().map(|&value| StringRef::Int(value))));
            if let Form::Chain(chain) = &list.form {
                chain.check(Some(limit));
            }
        }
    }
}

#[test]
fn elements_of_a_large_list_take_little_more_than_their_bytes() {
    for side in [Side::Left, Side::Right] {
        let mut list = List::default();
        for _ in 0..100_000 {
            list.push(side, Text::Bytes(b"fourteen bytes"), LIMIT);
        }
        let each = list.memory() as f64 / 100_000.0;
        assert!(each < 16.25, "{each} bytes for each of 16");
        chain(&list).check(Some(LIMIT));
    }
}

#[test]
fn a_list_becomes_small_again_at_half_of_the_limit() {
    let mut list = List::default();
    let element = || Text::Bytes(&[b'x'; 99]);
    for _ in 0..80 {
        list.push(Side::Right, element(), LIMIT);
    }
    assert_eq!(List::encoding(list.as_ref()), Encoding::Listpack);
    list.extend(Side::Left, std::iter::repeat_n(element(), 2), LIMIT);
    assert_eq!(List::encoding(list.as_ref()), Encoding::Quicklist);
    list.remove_at(Side::Right, 22, LIMIT);
    assert_eq!(List::encoding(list.as_ref()), Encoding::Quicklist);
    list.remove_at(Side::Left, 30, LIMIT);
    assert_eq!(List::encoding(list.as_ref()), Encoding::Listpack);
}

#[test]
fn large_elements_share_their_body() {
    let blob = crate::Blob::new(&[b'y'; 20_000]);
    let mut list = List::default();
    list.push(Side::Right, Text::Blob(blob.clone()), LIMIT);
    assert!(!blob.is_unique());
    assert!(matches!(list.as_ref().get(0), Some(StringRef::Blob(_))));
    list.set(0, Text::Int(7), LIMIT);
    assert!(blob.is_unique());
    assert_eq!(List::encoding(list.as_ref()), Encoding::Listpack);
}

#[test]
fn a_heavy_list_is_freed_in_slices() {
    let mut list = List::default();
    for value in 0..200_000 {
        list.push(Side::Right, Text::Int(value), LIMIT);
    }
    assert!(list.is_heavy());
    let (mut freed, mut largest) = (0, 0);
    loop {
        let slice = list.free_slice(10_000);
        if slice == 0 {
            break;
        }
        freed += slice;
        largest = largest.max(slice);
    }
    assert_eq!(freed, 200_000);
    assert!(largest < 13_000, "{largest} at once");
    assert!(!list.is_heavy());
}

#[test]
fn elements_removed_all_over_leave_no_sparse_nodes() {
    let mut list = List::default();
    for value in 0..100_000_i64 {
        list.push(Side::Right, Text::Int(if value % 10 == 0 { 1 } else { 2 }), LIMIT);
    }
    assert_eq!(list.remove_equal(b"2", Side::Right, usize::MAX, LIMIT), 90_000);
    assert!(list.memory() < 10_000 * 4, "{}", list.memory());
    chain(&list).check(Some(LIMIT));
}

#[test]
fn limits_are_those_of_the_configuration() {
    let bytes = |configured| NodeLimit::new(configured).bytes;
    assert_eq!(
        [-1, -2, -3, -4, -5, -6, i64::MIN].map(bytes),
        [4, 8, 16, 32, 64, 64, 64].map(|k| k << 10)
    );
    assert_eq!(NodeLimit::new(0), NodeLimit { bytes: 8192, items: 1 });
    assert_eq!(NodeLimit::new(128), NodeLimit { bytes: 8192, items: 128 });
}
