//! Numbers as Redis reads and writes them.

pub use crate::float::{LongDouble, parse_f64, parse_f64_bound};

/// The longest text of an `i64`.
const INT_TEXT_MAX: usize = 20;

/// An integer in its one canonical spelling: no sign but `-`, no leading zeros, no spaces, not
/// `-0`, within 64 bits. These are the texts that an integer turns back into.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let first = *text.first()?;
    // Most values that are no integers end here, on their first byte.
    if text.len() > INT_TEXT_MAX || !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    let negative = first == b'-';
    let digits = &text[usize::from(negative)..];
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for value in [0, 1, -1, 10, 99, -100, i64::MAX, i64::MIN, i64::MAX - 1, 1 << 60] {
            assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
        let refused = [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "100000000000000000000",
            "00",
            "--1",
            "1-",
        ];
        for text in refused {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }
}
