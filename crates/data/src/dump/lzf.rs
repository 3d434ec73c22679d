//! LZF, the compression of strings in dumps.
//!
//! ```text
//! 000LLLLL               LLLLL + 1 bytes as they are follow
//! LLLooooo oooooooo      LLL + 2 bytes again, from o + 1 bytes back; LLL is 1 to 6
//! 111ooooo LLLLLLLL o…   LLLLLLLL + 9 bytes again
//! ```

use super::read::{Malformed, Reader};

/// The longest run of bytes as they are.
const LITERAL_MAX: usize = 32;
/// The longest repetition.
const REPEAT_MAX: usize = 264;
/// The shortest one that is written.
const REPEAT_MIN: usize = 3;
/// How far back a repetition can reach.
const REACH: usize = 1 << 13;
/// Bytes that the three bytes of the longest repetition stand for, for each of the three.
const RATIO_MAX: usize = REPEAT_MAX / 3;
/// Bits of the table's hashes: about one slot for each place within reach.
const HASH_BITS: u32 = 13;

/// The `len` bytes that were compressed to `packed`.
///
/// # Errors
/// It is not so.
pub(super) fn decompress(packed: &[u8], len: usize) -> Result<Vec<u8>, Malformed> {
    if len > packed.len().saturating_mul(RATIO_MAX) {
        return Err(Malformed);
    }
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| Malformed)?;
    let mut input = Reader::new(packed);
    while !input.rest().is_empty() {
        let control = input.byte()?;
        if control < 0x20 {
            let run = input.bytes(usize::from(control) + 1)?;
            fits(&out, run.len(), len)?;
            out.extend_from_slice(run);
            continue;
        }
        let count = match usize::from(control >> 5) {
            7 => 9 + usize::from(input.byte()?),
            count => count + 2,
        };
        let back = (usize::from(control & 0x1F) << 8 | usize::from(input.byte()?)) + 1;
        fits(&out, count, len)?;
        repeat(&mut out, back, count)?;
    }
    if out.len() == len { Ok(out) } else { Err(Malformed) }
}

fn fits(out: &[u8], more: usize, len: usize) -> Result<(), Malformed> {
    if out.len() + more <= len { Ok(()) } else { Err(Malformed) }
}

/// Appends `count` bytes again from `back` bytes before the end on, some of which may only come
/// into being by this.
fn repeat(out: &mut Vec<u8>, back: usize, mut count: usize) -> Result<(), Malformed> {
    let start = out.len().checked_sub(back).ok_or(Malformed)?;
    while count > 0 {
        let some = count.min(out.len() - start);
        out.extend_from_within(start..start + some);
        count -= some;
    }
    Ok(())
}

/// Compresses strings, one after the other; what comes out depends on the string alone.
pub(super) struct Compressor {
    /// For the hash of three bytes where they were last, as a number from `base` on; numbers below
    /// are of earlier strings.
    places: Box<[u32]>,
    base: u32,
    out: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor { places: vec![0; 1 << HASH_BITS].into(), base: 1, out: Vec::new() }
    }
}

impl Compressor {
    /// The bytes compressed to at most `max` bytes, if they can be.
    pub(super) fn compress(&mut self, input: &[u8], max: usize) -> Option<&[u8]> {
        let len = u32::try_from(input.len()).ok()?;
        if self.base.checked_add(len).is_none() {
            self.places.fill(0);
            self.base = 1;
        }
        self.out.clear();
        let (mut at, mut literals) = (0, 0);
        while at + REPEAT_MIN <= input.len() {
            let Some(from) = self.visit(input, at) else {
                // Where nothing repeats, steps become wider.
                at += 1 + ((at - literals) >> 7);
                continue;
            };
            let count = common(&input[from..], &input[at..]);
            self.put_literals(&input[literals..at]);
            self.put_repeat(at - from, count);
            if self.out.len() > max {
                break;
            }
            at += count;
            literals = at;
            for behind in [2, 1] {
                if at - behind + REPEAT_MIN <= input.len() {
                    self.visit(input, at - behind);
                }
            }
        }
        self.base = self.base.saturating_add(len);
        if self.out.len() > max {
            return None;
        }
        self.put_literals(&input[literals..]);
        (self.out.len() <= max).then_some(&self.out)
    }

    /// Notes the place `at`; the place before it within reach that has the same three bytes, if it
    /// is known.
    #[inline]
    fn visit(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let next = &input[at..at + REPEAT_MIN];
        let bits = u32::from_le_bytes([next[0], next[1], next[2], 0]);
        // Multiplicative hashing, by the golden ratio.
        let slot = (bits.wrapping_mul(0x9E37_79B1) >> (u32::BITS - HASH_BITS)) as usize;
        let place = std::mem::replace(&mut self.places[slot], self.base + at as u32);
        let from = place.checked_sub(self.base)? as usize;
        (at - from <= REACH && &input[from..from + REPEAT_MIN] == next).then_some(from)
    }

    fn put_literals(&mut self, bytes: &[u8]) {
        for run in bytes.chunks(LITERAL_MAX) {
            self.out.push(run.len() as u8 - 1);
            self.out.extend_from_slice(run);
        }
    }

    fn put_repeat(&mut self, back: usize, count: usize) {
        let [high, low] = ((back - 1) as u16).to_be_bytes();
        match count - 2 {
            few @ 1..7 => self.out.extend_from_slice(&[(few as u8) << 5 | high, low]),
            many => self.out.extend_from_slice(&[0xE0 | high, (many - 7) as u8, low]),
        }
    }
}

/// How many bytes two strings have in common at their beginning, as far as a repetition can go.
fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take(REPEAT_MAX).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_bytes_come_out() {
        // As `lzf_compress` of liblzf has written them.
        let packed = b"\x01aa\xe0\x57\x00\x01aa";
        assert_eq!(decompress(packed, 100), Ok(vec![b'a'; 100]));
        assert_eq!(decompress(b"\x02abc\x20\x02\x01de", 8), Ok(b"abcabcde".to_vec()));
    }

    #[test]
    fn damage_is_found_and_nothing_is_allocated_for_promises() {
        for (packed, len) in [
            (&b"\x00"[..], 1),
            (b"\x01a", 2),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\x20", 4),
            (b"\xe0", 9),
            (b"\x00a\xe0\x00", 10),
            (b"\x00a", 2),
            (b"\x01ab", 1),
            (b"\x00a\xe0\xff\x00", usize::MAX),
            (b"\x00a\xe0\xff\x00", 264),
            (b"", 1),
        ] {
            assert_eq!(decompress(packed, len), Err(Malformed), "{packed:?} {len}");
        }
        assert_eq!(decompress(b"", 0), Ok(Vec::new()));
    }

    #[test]
    fn repetitions_are_used_as_far_as_they_reach() {
        let mut compressor = Compressor::default();
        let mut random = crate::Random::new(1);
        let once: Vec<u8> = (0..REACH).map(|_| random.bits() as u8).collect();
        let twice = [&once[..], &once[..]].concat();
        let packed = compressor.compress(&twice, twice.len()).map(<[u8]>::to_vec);
        assert!(packed.as_ref().is_some_and(|packed| packed.len() * 100 / once.len() < 112));
        assert_eq!(decompress(&packed.unwrap_or_default(), twice.len()), Ok(twice));
        assert!(compressor.compress(&[7; 264 * 10 + 1], 32).is_some());
        assert!(compressor.compress(b"abcdefghijklmnopqrstuvwxyz", 26).is_none());
    }

    #[test]
    fn places_of_earlier_strings_do_not_count() {
        let text = b"one two three one two three one two three";
        let fresh = Compressor::default().compress(text, text.len()).map(<[u8]>::to_vec);
        let mut used = Compressor { base: u32::MAX - 60, ..Compressor::default() };
        for _ in 0..3 {
            assert_eq!(used.compress(text, text.len()), fresh.as_deref());
        }
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            proptest::collection::vec(0..3_u8, 0..600),
            (any::<u8>(), 0..700_usize).prop_map(|(byte, len)| vec![byte; len]),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 400 },
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_was_compressed_comes_back(texts in proptest::collection::vec(text(), 1..4)) {
            let mut compressor = Compressor::default();
            for text in texts {
                if let Some(packed) = compressor.compress(&text, text.len() + text.len() / 32 + 1) {
                    prop_assert_eq!(decompress(packed, text.len()), Ok(text));
                }
            }
        }

        #[test]
        fn any_bytes_are_examined(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for len in [0, 1, bytes.len(), 300, 6000] {
                if let Ok(out) = decompress(&bytes, len) {
                    prop_assert_eq!(out.len(), len);
                }
            }
        }
    }
}
