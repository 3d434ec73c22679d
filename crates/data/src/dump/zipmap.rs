//! Reading zipmaps, in which Redis kept small hashes before version 2.6.
//!
//! ```text
//! number of pairs u8, 254 or 255: unknown | length | field | length | free u8 | value | … | 0xFF
//! ```
//!
//! A length is one byte, or 0xFE and four; `free` bytes behind a value mean nothing.

use super::read::{Malformed, Reader};
use crate::{Item, Packed};

const END: u8 = 0xFF;
/// From this number of pairs on it is not told.
const MANY: u8 = 0xFE;

/// Fields and values in turn, as a packed sequence.
///
/// # Errors
/// The bytes are no zipmap throughout.
pub(super) fn read(bytes: &[u8]) -> Result<Packed, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.byte()?;
    let (mut packed, mut met) = (Packed::new(), 0u64);
    while let Some(len) = length(&mut reader)? {
        packed.push_back(Item::of(reader.bytes(len)?));
        let len = length(&mut reader)?.ok_or(Malformed)?;
        let free = reader.byte()?;
        packed.push_back(Item::of(reader.bytes(len)?));
        reader.bytes(free.into())?;
        met += 1;
    }
    let counted = count >= MANY || u64::from(count) == met;
    if reader.rest().is_empty() && counted { Ok(packed) } else { Err(Malformed) }
}

/// The next length; none at the end.
fn length(reader: &mut Reader<'_>) -> Result<Option<usize>, Malformed> {
    Ok(match reader.byte()? {
        END => None,
        0xFE => Some(u32::from_le_bytes(reader.array()?) as usize),
        len => Some(len.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_damage_is_found() {
        let intact = b"\x02\x03foo\x03\x02bar..\x05hello\xfe\x05\0\0\0\0world\xff";
        let texts: Vec<Vec<u8>> =
            read(intact).unwrap_or_default().as_ref().iter().map(Item::to_vec).collect();
        assert_eq!(texts, [&b"foo"[..], b"bar", b"hello", b"world"]);
        for len in 0..intact.len() {
            assert!(read(&intact[..len]).is_err(), "{len}");
        }
        assert!(read(b"\xfe\x01a\x01\0b\xff").is_ok());
        assert!(read(b"\x01\x01a\x01\0b\xff\xff").is_err());
        assert!(read(b"\x02\x01a\x01\0b\xff").is_err());
        assert!(read(b"\x01\x01a\xff").is_err());
        assert!(read(b"\0\xff").is_ok());
    }
}
