//! Reading ziplists, which Redis wrote before it had packed sequences (listpacks).
//!
//! ```text
//! total bytes u32 | offset of the last item u32 | number of items u16, 0xFFFF: unknown | item … | 0xFF
//! item: bytes of the item before (u8, or 0xFE and u32) | encoding and contents
//! ```
//!
//! All numbers are little-endian but for the lengths of strings.

use super::read::{Malformed, Reader};
use crate::{Item, Packed};

const HEAD: usize = 10;
const END: u8 = 0xFF;
const MANY: u16 = u16::MAX;

/// The items of a ziplist, as a packed sequence.
///
/// # Errors
/// The bytes are no ziplist throughout.
pub(super) fn read(bytes: &[u8]) -> Result<Packed, Malformed> {
    let mut head = Reader::new(bytes);
    let total = u32::from_le_bytes(head.array()?);
    let tail = u32::from_le_bytes(head.array()?) as usize;
    let count = u16::from_le_bytes(head.array()?);
    let Some((&END, items)) = head.rest().split_last() else { return Err(Malformed) };
    if total as usize != bytes.len() {
        return Err(Malformed);
    }
    let mut packed = Packed::new();
    let (mut items, mut met, mut last, mut before) = (Reader::new(items), 0u64, HEAD, 0);
    while !items.rest().is_empty() {
        let left = items.rest().len();
        let told = match items.byte()? {
            0xFE => u32::from_le_bytes(items.array()?) as usize,
            END => return Err(Malformed),
            len => len.into(),
        };
        if told != before {
            return Err(Malformed);
        }
        packed.push_back(item(&mut items)?);
        before = left - items.rest().len();
        last = bytes.len() - 1 - left;
        met += 1;
    }
    // An empty one tells where its first item would be.
    if tail != last || (count != MANY && u64::from(count) != met) {
        return Err(Malformed);
    }
    Ok(packed)
}

fn item<'a>(reader: &mut Reader<'a>) -> Result<Item<'a>, Malformed> {
    let first = reader.byte()?;
    Ok(match first {
        0x00..0x40 => Item::of(reader.bytes(first.into())?),
        0x40..0x80 => {
            let len = u16::from_be_bytes([first & 0x3F, reader.byte()?]);
            Item::of(reader.bytes(len.into())?)
        }
        0x80 => {
            let len = u32::from_be_bytes(reader.array()?);
            Item::of(reader.bytes(len as usize)?)
        }
        0xC0 => Item::Int(i16::from_le_bytes(reader.array()?).into()),
        0xD0 => Item::Int(i32::from_le_bytes(reader.array()?).into()),
        0xE0 => Item::Int(i64::from_le_bytes(reader.array()?)),
        0xF0 => {
            let [a, b, c] = reader.array()?;
            Item::Int((i32::from_le_bytes([0, a, b, c]) >> 8).into())
        }
        0xFE => Item::Int(i8::from_le_bytes(reader.array()?).into()),
        0xF1..=0xFD => Item::Int(i64::from(first & 0xF) - 1),
        _ => return Err(Malformed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        read(bytes).map(|packed| packed.as_ref().iter().map(Item::to_vec).collect())
    }

    /// A ziplist of these items, each encoding and contents.
    fn ziplist(items: &[&[u8]]) -> Vec<u8> {
        let (mut bytes, mut last, mut before) = (vec![0; HEAD], HEAD, 0);
        for item in items {
            last = bytes.len();
            if before < 0xFE {
                bytes.push(before as u8);
            } else {
                bytes.push(0xFE);
                bytes.extend((before as u32).to_le_bytes());
            }
            bytes.extend_from_slice(item);
            before = bytes.len() - last;
        }
        bytes.push(END);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        bytes[8..HEAD].copy_from_slice(&(items.len() as u16).to_le_bytes());
        bytes
    }

    #[test]
    fn every_encoding_is_read() {
        let long = [&[0x41, 0x2C][..], &[b'x'; 300]].concat();
        let longer = [&[0x80, 0, 0, 0x40, 0][..], &[b'y'; 0x4000]].concat();
        let items: [(&[u8], &[u8]); 15] = [
            (b"\x05hello", b"hello"),
            (b"\x00", b""),
            (&long, &[b'x'; 300]),
            (&longer, &[b'y'; 0x4000]),
            (b"\xc0\x18\xfc", b"-1000"),
            (b"\xd0\xff\xff\xff\x7f", b"2147483647"),
            (b"\xe0\0\0\0\0\0\0\0\x80", b"-9223372036854775808"),
            (b"\xf0\0\0\x80", b"-8388608"),
            (b"\xf0\xff\xff\x7f", b"8388607"),
            (b"\xfe\x80", b"-128"),
            (b"\xf1", b"0"),
            (b"\xfd", b"12"),
            (b"\x0212", b"12"),
            (b"\x02-0", b"-0"),
            (b"\xfe\x0d", b"13"),
        ];
        let encoded: Vec<&[u8]> = items.iter().map(|(item, _)| *item).collect();
        let expected: Vec<Vec<u8>> = items.iter().map(|(_, text)| text.to_vec()).collect();
        assert_eq!(texts(&ziplist(&encoded)), Ok(expected));
        assert_eq!(texts(&ziplist(&[])), Ok(Vec::new()));
        // The example in Redis's description of the format.
        assert_eq!(
            texts(b"\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf3\x02\xf6\xff"),
            Ok(vec![b"2".to_vec(), b"5".to_vec()])
        );
    }

    #[test]
    fn damage_anywhere_is_found() {
        let intact = ziplist(&[b"\x01a", b"\xf3", b"\xc0\x01\x02", b"\x03xyz"]);
        assert!(read(&intact).is_ok());
        for len in 0..intact.len() {
            assert!(read(&intact[..len]).is_err(), "{len}");
        }
        // Head, lengths of items before, encodings.
        for at in [0, 1, 4, 5, 8, 9, 10, 11, 13, 15, 16, 19, 20] {
            let mut bytes = intact.clone();
            bytes[at] ^= 0x8F;
            assert!(read(&bytes).is_err(), "{at}");
        }
        let mut unknown = intact;
        unknown[8..HEAD].fill(0xFF);
        assert!(read(&unknown).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_are_examined(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes);
            let total = bytes.len() as u32;
            if total > 11 {
                bytes[..4].copy_from_slice(&total.to_le_bytes());
                bytes[total as usize - 1] = END;
                let _ = read(&bytes);
            }
        }
    }
}
