use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

fn seen(elements: impl IntoIterator<Item = u64>) -> Vec<Observation> {
    elements.into_iter().map(|element| Observation::of(&element.to_le_bytes())).collect()
}

fn count(sketch: &SketchBuf) -> u64 {
    Sketch::new(sketch.as_bytes()).expect("a sketch").count().expect("whole")
}

fn registers(sketch: &SketchBuf) -> Registers {
    let mut registers = Registers::default();
    let view = Sketch::new(sketch.as_bytes()).expect("a sketch");
    view.merge(&mut registers).expect("whole");
    registers
}

#[test]
fn a_new_sketch_is_that_of_redis() {
    let sketch = SketchBuf::new(3000);
    assert_eq!(sketch.as_bytes(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert_eq!(count(&sketch), 0);
    assert_eq!(Sketch::new(sketch.as_bytes()).unwrap().cached_count(), Some(0));
}

/// `PFADD k a b c d e f g` of Redis gives these bytes.
#[test]
fn elements_fall_to_the_registers_of_redis() {
    let mut sketch = SketchBuf::new(3000);
    let elements = ["a", "b", "c", "d", "e", "f", "g"];
    let seen: Vec<Observation> = elements.map(|e| Observation::of(e.as_bytes())).to_vec();
    assert_eq!(sketch.add(&seen), Ok(7));
    let view = Sketch::new(sketch.as_bytes()).unwrap();
    assert_eq!(view.count(), Ok(7));
    assert_eq!(
        view.describe_runs(),
        "Z:1646 v:1,1 Z:5645 v:1,1 Z:1085 v:2,1 z:57 v:1,1 Z:4274 v:2,1 Z:2445 v:1,1 Z:622 v:1,1 Z:603"
    );
}

/// What `PFADD k 0`, `PFADD k 1`… up to 999 of Redis give: runs are split and joined as there.
#[test]
fn runs_are_those_of_redis() {
    let mut sketch = SketchBuf::new(3000);
    for element in 0..1000 {
        sketch.add(&[Observation::of(element.to_string().as_bytes())]).unwrap();
    }
    let view = Sketch::new(sketch.as_bytes()).unwrap();
    assert_eq!((sketch.as_bytes().len(), view.count()), (1923, Ok(1001)));
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = view.describe_runs().bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    assert_eq!(hash, 0xde25_b670_ae0a_10b3);
}

#[test]
fn four_equal_registers_are_one_run() {
    let mut sketch = SketchBuf::new(5000);
    sketch.add_registers(&Registers(Box::new([3; REGISTERS]))).unwrap();
    assert_eq!(sketch.as_bytes().len(), HEAD + REGISTERS / 4);
    assert!(sketch.as_bytes()[HEAD..].iter().all(|run| *run == 0x8b));
}

#[test]
fn estimates_are_near_and_the_same_in_both_forms() {
    for seed in [0, 1, 0x1234_5678_9abc_def0] {
        self_test(if cfg!(miri) { return } else { seed }).unwrap();
    }
}

#[test]
fn a_sketch_becomes_dense_when_it_is_too_long() {
    let mut sketch = SketchBuf::new(100);
    let mut all = 0;
    while sketch.form() == Form::Sparse {
        sketch.add(&seen([all])).unwrap();
        all += 1;
        assert!(sketch.as_bytes().len() <= 100 || sketch.form() == Form::Dense);
    }
    assert!(all > 20 && sketch.as_bytes().len() == DENSE_LEN);
    let mut other = SketchBuf::new(3000);
    other.add(&seen(0..all)).unwrap();
    assert_eq!(registers(&sketch).0, registers(&other).0);
    assert_eq!(count(&sketch), count(&other));
}

#[test]
fn what_is_not_whole_is_refused() {
    let mut sketch = SketchBuf::new(3000);
    sketch.add(&seen(0..100)).unwrap();
    let whole = sketch.as_bytes().to_vec();
    let refused = |bytes: &[u8]| match Sketch::new(bytes) {
        Err(NotSketch) => true,
        Ok(sketch) => {
            let copied = SketchBuf::copy_of(sketch, 3000).make_dense();
            let merged = sketch.merge(&mut Registers::default());
            assert_eq!((copied.is_err(), merged.is_err()), (true, true));
            sketch.count().is_err()
        }
    };
    assert!(Sketch::new(&whole).unwrap().count().is_ok());
    for len in 0..whole.len() {
        assert!(refused(&whole[..len]), "{len}");
    }
    assert!(refused(&[&whole[..], b"\0"].concat()));
    assert!(refused(&[&whole[..], b"hello"].concat()));
    assert!(refused(&[b"hyll", &whole[4..]].concat()));
    let mut dense = whole;
    dense[4] = 0;
    assert!(refused(&dense));
    dense[4] = 2;
    assert!(refused(&dense));
}

/// The greatest registers give no finite number; nothing may fail on the way.
#[test]
fn impossible_registers_have_an_estimate() {
    let mut dense = SketchBuf::new(0);
    dense.make_dense().unwrap();
    let mut bytes = dense.as_bytes().to_vec();
    bytes[HEAD..].fill(0xff);
    assert_eq!(Sketch::new(&bytes).unwrap().count(), Ok(1 << 63));
}

proptest! {
    #![proptest_config(Config {
        cases: if cfg!(miri) { 2 } else { 60 },
        rng_seed: RngSeed::Fixed(13),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn both_forms_hold_the_greatest_runs(
        elements in prop::collection::vec(0_u64..5_000, 0..600), sparse_max in 0_usize..4_000
    ) {
        let mut sketch = SketchBuf::new(sparse_max);
        let mut expected = Registers::default();
        for seen in seen(elements) {
            let index = usize::from(seen.index);
            let raised = seen.rank > expected.0[index];
            let view = Sketch::new(sketch.as_bytes()).expect("a sketch");
            prop_assert_eq!(view.is_raised(&[seen]), Ok(raised));
            prop_assert_eq!(sketch.add(&[seen]), Ok(u32::from(raised)));
            expected.raise(index, seen.rank);
        }
        prop_assert_eq!(&registers(&sketch).0, &expected.0);
        prop_assert_eq!(count(&sketch), expected.count());
        let sparse = sketch.form() == Form::Sparse;
        prop_assert!(!sparse || sketch.as_bytes().len() <= sparse_max.max(HEAD + 2));
        // Raising to all registers in order is adding them one by one.
        let (mut merged, mut one_by_one) = (SketchBuf::new(sparse_max), SketchBuf::new(sparse_max));
        merged.add(&seen_some(&expected)).expect("whole");
        one_by_one.add(&seen_some(&expected)).expect("whole");
        merged.add_registers(&expected).expect("whole");
        for (index, rank) in expected.0.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            one_by_one.raise(index, *rank, sparse::Place::START).expect("whole");
        }
        prop_assert_eq!(&merged, &one_by_one);
        prop_assert_eq!(&registers(&merged).0, &expected.0);
    }

    #[test]
    fn any_bytes_are_read_without_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        bytes.splice(..0, *b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80");
        let Ok(sketch) = Sketch::new(&bytes) else { return Ok(()) };
        let _ = sketch.describe_runs();
        let _ = sketch.is_raised(&seen(0..10));
        let whole = sketch.count().is_ok();
        prop_assert_eq!(sketch.merge(&mut Registers::default()).is_ok(), whole);
        for sparse_max in [3000, 100] {
            let mut copy = SketchBuf::copy_of(sketch, sparse_max);
            let added = copy.add(&seen(0..100));
            let _ = copy.add_registers(&Registers(Box::new([3; REGISTERS])));
            prop_assert!(added.is_ok() || !whole);
            prop_assert!(!whole || Sketch::new(copy.as_bytes()).expect("a sketch").count().is_ok());
        }
    }
}

/// A few of the registers, in no order, so that runs are there to be split and joined.
fn seen_some(registers: &Registers) -> Vec<Observation> {
    let held = registers.0.iter().enumerate().filter(|(_, rank)| **rank > 0);
    let some =
        held.step_by(3).map(|(index, rank)| Observation { index: index as u16, rank: *rank });
    some.collect::<Vec<_>>().into_iter().rev().collect()
}
