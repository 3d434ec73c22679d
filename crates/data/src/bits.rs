//! Strings as arrays of bits: bit 0 is the highest of the first byte.
//!
//! Everything works on many bytes at a time. What stands beyond a string's end is zero.

mod count;
mod field;

pub use count::count_ones;
pub use field::{Field, Overflow};

use crate::Blob;

/// The bit at `at`.
#[inline]
#[must_use]
pub fn get(bytes: &[u8], at: u64) -> bool {
    let byte = usize::try_from(at >> 3).ok().and_then(|byte| bytes.get(byte));
    byte.is_some_and(|byte| byte & mask(at) != 0)
}

/// Sets the bit at `at`, which must lie within `bytes`.
///
/// # Panics
/// If it does not.
#[inline]
pub fn set(bytes: &mut [u8], at: u64, on: bool) {
    let byte = &mut bytes[(at >> 3) as usize];
    *byte = if on { *byte | mask(at) } else { *byte & !mask(at) };
}

#[inline]
fn mask(at: u64) -> u8 {
    0x80 >> (at & 7)
}

/// How many of the bits from `start` to `end` (excluded, within the string) are set.
#[must_use]
pub fn count_range(bytes: &[u8], start: u64, end: u64) -> u64 {
    if start >= end {
        return 0;
    }
    let (first, last) = ((start >> 3) as usize, (end.div_ceil(8)) as usize);
    let bytes = &bytes[first..last];
    let before = bytes.first().map_or(0, |byte| byte & !head(start));
    let after = bytes.last().map_or(0, |byte| byte & !tail(end));
    count_ones(bytes) - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

/// The bits of a byte from position `start` (modulo 8) on.
fn head(start: u64) -> u8 {
    0xff >> (start & 7)
}

/// The bits of a byte before position `end` (modulo 8, where 0 is the byte's end).
fn tail(end: u64) -> u8 {
    match end & 7 {
        0 => 0xff,
        used => !(0xff >> used),
    }
}

/// The first position from `start` to `end` (excluded, within the string) where the bit is `on`.
#[must_use]
pub fn find_range(bytes: &[u8], on: bool, start: u64, end: u64) -> Option<u64> {
    if start >= end {
        return None;
    }
    let (first, last) = ((start >> 3) as usize, (end.div_ceil(8)) as usize);
    // The first and the last byte, with the bits outside as if they were not what is looked for.
    let flip = if on { 0 } else { 0xff };
    let at_start = (bytes[first] ^ flip) & head(start);
    let end_byte = |byte: u8| (byte ^ flip) & tail(end);
    if first + 1 == last {
        let found = end_byte(bytes[first]) & head(start);
        return (found != 0).then(|| (first as u64) * 8 + u64::from(found.leading_zeros()));
    }
    if at_start != 0 {
        return Some((first as u64) * 8 + u64::from(at_start.leading_zeros()));
    }
    let inner = &bytes[first + 1..last - 1];
    if let Some(found) = find(inner, on) {
        return Some((first as u64 + 1) * 8 + found);
    }
    let found = end_byte(bytes[last - 1]);
    (found != 0).then(|| (last as u64 - 1) * 8 + u64::from(found.leading_zeros()))
}

/// The first bit that is `on`.
fn find(bytes: &[u8], on: bool) -> Option<u64> {
    let flip = if on { 0 } else { u64::MAX };
    let skip = skipped(bytes, (flip & 0xff) as u8);
    let mut at = skip as u64 * 8;
    let mut words = bytes[skip..].chunks_exact(8);
    for word in words.by_ref() {
        let word = u64::from_be_bytes(word.try_into().unwrap_or_default()) ^ flip;
        if word != 0 {
            return Some(at + u64::from(word.leading_zeros()));
        }
        at += 64;
    }
    for byte in words.remainder() {
        let byte = byte ^ (flip & 0xff) as u8;
        if byte != 0 {
            return Some(at + u64::from(byte.leading_zeros()));
        }
        at += 8;
    }
    None
}

/// How many bytes at the front, in blocks, are all `byte`.
fn skipped(bytes: &[u8], byte: u8) -> usize {
    const BLOCK: usize = 128;
    let same = |block: &&[u8]| block.iter().fold(0, |seen, other| seen | (other ^ byte)) == 0;
    bytes.chunks_exact(BLOCK).take_while(same).count() * BLOCK
}

/// An operation on several bit arrays, of which shorter ones are continued by zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number.
    Xor,
    /// Not set in the first (and only) one.
    Not,
    /// Set in the first and in no other.
    Diff,
    /// Set in others, but not in the first.
    Diff1,
    /// Set in the first and in others.
    AndOr,
    /// Set in exactly one.
    One,
}

/// What is worked on at a time: sources are read piece by piece, so that result and sources of a
/// piece stay in the nearest cache however many there are.
const PIECE: usize = 4096;

/// The result of an operation, as long as the longest source.
#[must_use]
pub fn combine(operation: Operation, sources: &[&[u8]]) -> Blob {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = Blob::with_capacity(len);
    let (mut piece, mut again) = ([0; PIECE], [0; PIECE]);
    for start in (0..len).step_by(PIECE) {
        let size = PIECE.min(len - start);
        let within = |at: usize, source: &[u8]| at.min(source.len());
        let mut parts = sources
            .iter()
            .map(|source| &source[within(start, source)..within(start + size, source)]);
        let piece = &mut piece[..size];
        let first = parts.next().unwrap_or_default();
        match operation {
            Operation::And => {
                put(piece, first);
                parts.for_each(|part| and(piece, part));
            }
            Operation::Or => {
                put(piece, first);
                parts.for_each(|part| or(piece, part));
            }
            Operation::Xor => {
                put(piece, first);
                parts.for_each(|part| each(piece, part, |to, from| *to ^= from));
            }
            Operation::Not => {
                put(piece, first);
                piece.iter_mut().for_each(|byte| *byte = !*byte);
            }
            Operation::Diff => {
                put(piece, first);
                parts.for_each(|part| each(piece, part, |to, from| *to &= !from));
            }
            Operation::Diff1 => {
                put(piece, &[]);
                parts.for_each(|part| or(piece, part));
                each(piece, first, |to, from| *to &= !from);
            }
            Operation::AndOr => {
                put(piece, &[]);
                parts.for_each(|part| or(piece, part));
                and(piece, first);
            }
            Operation::One => {
                put(piece, first);
                let again = &mut again[..size];
                again.fill(0);
                for part in parts {
                    both(again, piece, part);
                    or(piece, part);
                }
                each(piece, again, |to, from| *to &= !from);
            }
        }
        result.extend(piece);
    }
    result
}

// The loops below are over bytes in the source only: the compiler makes vectors of them.

fn put(to: &mut [u8], from: &[u8]) {
    let (copied, rest) = to.split_at_mut(from.len());
    copied.copy_from_slice(from);
    rest.fill(0);
}

fn each(to: &mut [u8], from: &[u8], change: impl Fn(&mut u8, u8)) {
    to.iter_mut().zip(from).for_each(|(to, from)| change(to, *from));
}

fn or(to: &mut [u8], from: &[u8]) {
    each(to, from, |to, from| *to |= from);
}

fn and(to: &mut [u8], from: &[u8]) {
    each(to, from, |to, from| *to &= from);
    to[from.len()..].fill(0);
}

/// Adds to `again` what is set in both of the others.
fn both(again: &mut [u8], piece: &[u8], part: &[u8]) {
    again.iter_mut().zip(piece).zip(part).for_each(|((again, a), b)| *again |= a & b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn bits(bytes: &[u8]) -> Vec<bool> {
        (0..bytes.len() as u64 * 8).map(|at| get(bytes, at)).collect()
    }

    #[test]
    fn bits_count_from_the_highest_of_the_first_byte() {
        let mut bytes = [0_u8; 3];
        set(&mut bytes, 0, true);
        set(&mut bytes, 15, true);
        assert_eq!(bytes, [0x80, 0x01, 0]);
        assert!(get(&bytes, 0) && get(&bytes, 15) && !get(&bytes, 1) && !get(&bytes, 24));
        assert!(!get(&bytes, u64::MAX));
        set(&mut bytes, 0, false);
        assert_eq!(bytes, [0, 1, 0]);
    }

    /// Bytes with long runs of equal bits, so that skipping has something to skip.
    fn runs() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0_u8), Just(0xff), any::<u8>()];
        prop::collection::vec((byte, 0_usize..300), 0..5)
            .prop_map(|runs| runs.into_iter().flat_map(|(byte, len)| vec![byte; len]).collect())
    }

    fn expected(operation: Operation, held: &[bool]) -> bool {
        let others = held[1..].iter().any(|bit| *bit);
        let count = held.iter().filter(|bit| **bit).count();
        match operation {
            Operation::And => count == held.len(),
            Operation::Or => count > 0,
            Operation::Xor => count % 2 == 1,
            Operation::Not => !held[0],
            Operation::Diff => held[0] && !others,
            Operation::Diff1 => !held[0] && others,
            Operation::AndOr => held[0] && others,
            Operation::One => count == 1,
        }
    }

    const OPERATIONS: [Operation; 8] = [
        Operation::And,
        Operation::Or,
        Operation::Xor,
        Operation::Not,
        Operation::Diff,
        Operation::Diff1,
        Operation::AndOr,
        Operation::One,
    ];

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 4 } else { 200 },
            rng_seed: RngSeed::Fixed(11),
            failure_persistence: None,
            ..Config::default()
        })]

        #[test]
        fn ranges_are_counted_and_searched_as_bit_by_bit(
            bytes in runs(), a in any::<u64>(), b in any::<u64>()
        ) {
            let all = bits(&bytes);
            let len = all.len() as u64;
            let (start, end) = (a % (len + 1), b % (len + 1));
            let range = if start < end { &all[start as usize..end as usize] } else { &[] };
            let ones = range.iter().filter(|bit| **bit).count() as u64;
            prop_assert_eq!(count_range(&bytes, start, end), ones);
            for on in [true, false] {
                let found = range.iter().position(|bit| *bit == on).map(|at| at as u64 + start);
                prop_assert_eq!(find_range(&bytes, on, start, end), found);
            }
        }

        #[test]
        fn operations_are_those_bit_by_bit(
            sources in prop::collection::vec(runs(), 1..5), repeat in 1_usize..12
        ) {
            let sources: Vec<Vec<u8>> = sources.iter().map(|source| source.repeat(repeat)).collect();
            let borrowed: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let len = sources.iter().map(Vec::len).max().unwrap_or(0);
            for operation in OPERATIONS {
                let borrowed = if operation == Operation::Not { &borrowed[..1] } else { &borrowed };
                let result = combine(operation, borrowed);
                let len = if operation == Operation::Not { sources[0].len() } else { len };
                prop_assert_eq!(result.len(), len);
                for at in (0..len as u64 * 8).step_by(if len > 500 { 37 } else { 1 }) {
                    let held: Vec<bool> = borrowed.iter().map(|source| get(source, at)).collect();
                    prop_assert_eq!(get(result.as_bytes(), at), expected(operation, &held));
                }
            }
        }
    }
}
