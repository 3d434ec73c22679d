//! What must hold for any bytes: the body of the fuzz targets, also run on seeded inputs by the
//! ordinary tests. Each function panics where something does not hold.

use crate::bits::{self, Field, Operation, Overflow};
use crate::hyperloglog::{Form, Observation, Registers, Sketch, SketchBuf};

/// A string that a client calls a HyperLogLog: it is read and changed without harm, and what was
/// whole stays whole.
///
/// The first two bytes choose the longest sparse representation; a sketch's head is put in front
/// of the others, so that they are taken for registers.
pub fn hyperloglog(data: &[u8]) {
    let Some(([low, high], registers)) = data.split_first_chunk() else { return };
    let sparse_max = usize::from(u16::from_le_bytes([*low, *high & 0x1f]));
    let _ = Sketch::new(registers).map(|sketch| sketch.count());
    let bytes = [&b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80"[..], registers].concat();
    let Ok(sketch) = Sketch::new(&bytes) else { panic!("a head is a sketch") };
    let _ = sketch.describe_runs();
    let whole = sketch.count().is_ok();
    let mut held = Registers::default();
    assert_eq!(sketch.merge(&mut held).is_ok(), whole);

    let seen: Vec<Observation> = registers.chunks(3).map(Observation::of).collect();
    let mut changed = SketchBuf::copy_of(sketch, sparse_max);
    let added = changed.add(&seen);
    if !whole {
        let _ = changed.add_registers(&held);
        return;
    }
    assert!(added.is_ok());
    let Ok(after) = Sketch::new(changed.as_bytes()) else { panic!("it is a sketch no longer") };
    let mut raised = Registers::default();
    assert!(after.merge(&mut raised).is_ok());
    assert!(held.as_bytes().iter().zip(raised.as_bytes()).all(|(before, after)| before <= after));
    assert_eq!(after.is_raised(&seen), Ok(false));
    assert_eq!(after.count(), Ok(raised.count()));
    let longest = sparse_max.max(bytes.len());
    assert!(after.form() == Form::Dense || changed.as_bytes().len() <= longest);
}

/// Ranges, fields and operations of bit arrays agree with looking at each bit.
pub fn bits(data: &[u8]) {
    let Some((control, bytes)) = data.split_first_chunk::<8>() else { return };
    let [a, b, c, d, width, kind, cut, _] = *control;
    let len = bytes.len() as u64 * 8;
    let start = u64::from(u16::from_le_bytes([a, b])).min(len);
    let end = u64::from(u16::from_le_bytes([c, d])).min(len);
    let range = || (start..end).map(|at| bits::get(bytes, at));
    let ones = range().filter(|bit| *bit).count() as u64;
    assert_eq!(bits::count_range(bytes, start, end), ones);
    for on in [false, true] {
        let first = range().position(|bit| bit == on).map(|at| at as u64 + start);
        assert_eq!(bits::find_range(bytes, on, start, end), first);
    }
    if let Some(field) = Field::new(kind & 1 == 1, u32::from(width), start) {
        let value = field.get(bytes);
        assert_eq!(field.fit(value, Overflow::Fail), Some(value));
        let mut copy = bytes.to_vec();
        copy.resize(copy.len().max(field.end() as usize), 0);
        field.set(&mut copy, !value);
        field.set(&mut copy, value);
        assert!(copy.starts_with(bytes));
    }
    let (x, y) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let both = |operation| bits::combine(operation, &[x, y]);
    let [and, or, xor] = [Operation::And, Operation::Or, Operation::Xor].map(both);
    let count = |bytes: &[u8]| bits::count_ones(bytes);
    assert_eq!(count(x) + count(y), count(or.as_bytes()) + count(and.as_bytes()));
    assert_eq!(count(xor.as_bytes()) + count(and.as_bytes()), count(or.as_bytes()));
    assert_eq!(both(Operation::One), xor);
    assert_eq!(both(Operation::AndOr), and);
    let [diff, diff1] = [Operation::Diff, Operation::Diff1].map(both);
    assert_eq!(bits::combine(Operation::Or, &[diff.as_bytes(), diff1.as_bytes()]), xor);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 4 } else { 300 },
            rng_seed: RngSeed::Fixed(14),
            failure_persistence: None,
            ..Config::default()
        })]

        #[test]
        fn what_is_fuzzed_holds_for_seeded_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
            super::hyperloglog(&data);
            super::bits(&data);
            // Zeros, a value and zeros that add up to all registers.
            let before = 1 + data.len() * 40 % 16_382;
            let zeros = |len: usize| [0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8];
            let [low, high] = [data.len() as u8, 0];
            let runs = [&zeros(before)[..], &[0x84], &zeros(16_383 - before)[..]].concat();
            super::hyperloglog(&[&[low, high], &runs[..]].concat());
        }
    }
}
