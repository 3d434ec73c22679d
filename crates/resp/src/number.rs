//! Numbers as text, in the forms that the protocol and Redis's replies use.

use std::io::Write;

/// The longest text of an `i64`.
const I64_DIGITS: usize = 20;

/// The longest text that [`write_f64`] produces.
const F64_DIGITS: usize = 32;

/// Parses a decimal integer in its one canonical form: no sign but `-`, no leading zeros, no
/// blanks, no `-0`. These are the rules of Redis for lengths in the protocol and for integers
/// among arguments and values. `None` if the text is anything else or does not fit.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
        [b'-', digits @ ..] => match parse_magnitude(digits)? {
            magnitude if magnitude <= i64::MIN.unsigned_abs() => {
                Some((magnitude as i64).wrapping_neg())
            }
            _ => None,
        },
        digits => i64::try_from(parse_magnitude(digits)?).ok(),
    }
}

/// A decimal number of at least 1, without leading zeros.
#[inline]
fn parse_magnitude(digits: &[u8]) -> Option<u64> {
    let [b'1'..=b'9', ..] = digits else { return None };
    if digits.len() >= I64_DIGITS {
        return None; // 20 digits may overflow, and no i64 needs them
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))
    })
}

/// Appends `value` in decimal.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `value` as Redis 7.2 writes doubles in replies: whole numbers without a fraction,
/// otherwise the shortest digits that read back as the same number, in scientific notation where
/// the exponent is large; `inf`, `-inf`, `nan`, `-0`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    /// Beyond this magnitude Redis no longer writes whole numbers as integers.
    const WHOLE: f64 = (i64::MAX / 2) as f64;
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-inf" } else { b"inf" });
    } else if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if value.abs() <= WHOLE && value.trunc() == value {
        write_i64(out, value as i64);
    } else {
        write_shortest(out, value);
    }
}

/// Lays out the shortest digits `d₁d₂…dₙ × 10^scale` of a finite number.
fn write_shortest(out: &mut Vec<u8>, value: f64) {
    let mut text = [0u8; F64_DIGITS];
    let mut rest = &mut text[..];
    // "d.ddde-n" of at most 17 digits and three digits of exponent always fits.
    let fits = write!(rest, "{:e}", value.abs()).is_ok();
    let unused = rest.len();
    let text = &text[..F64_DIGITS - unused];
    let parsed = split_scientific(text);
    debug_assert!(fits && parsed.is_some());
    let Some((lead, fraction, exponent)) = parsed else { return };
    if value < 0.0 {
        out.push(b'-');
    }
    let count = 1 + fraction.len() as i32;
    let scale = exponent - (count - 1);
    if scale >= 0 && exponent < count + 7 {
        out.push(lead);
        out.extend_from_slice(fraction);
        out.resize(out.len() + scale as usize, b'0');
    } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        write_fixed(out, lead, fraction, count + scale);
    } else {
        write_scientific(out, lead, fraction, exponent);
    }
}

/// Cuts `d.ddde-n` into its leading digit, the other digits and the exponent.
fn split_scientific(text: &[u8]) -> Option<(u8, &[u8], i32)> {
    let e = memchr::memchr(b'e', text)?;
    let exponent = parse_i64(&text[e + 1..])?;
    let (&lead, fraction) = text[..e].split_first()?;
    Some((lead, fraction.strip_prefix(b".").unwrap_or(fraction), exponent as i32))
}

/// Writes digits with a decimal point behind the first `whole` of them; with `whole` not
/// positive, `0.` and as many zeros stand in front.
fn write_fixed(out: &mut Vec<u8>, lead: u8, fraction: &[u8], whole: i32) {
    if whole <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + whole.unsigned_abs() as usize, b'0');
        out.push(lead);
        out.extend_from_slice(fraction);
    } else {
        let (before, after) = fraction.split_at(whole as usize - 1);
        out.push(lead);
        out.extend_from_slice(before);
        out.push(b'.');
        out.extend_from_slice(after);
    }
}

fn write_scientific(out: &mut Vec<u8>, lead: u8, fraction: &[u8], exponent: i32) {
    out.push(lead);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    write_i64(out, i64::from(exponent.abs()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn f64_text(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_have_one_form() {
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("10", 10),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "-0",
            "01",
            "00",
            " 1",
            "1 ",
            "1a",
            "a",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "123456789012345678901234",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_written_as_redis_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (3.25, "3.25"),
            (-3.5, "-3.5"),
            (0.1, "0.1"),
            (0.00001, "0.00001"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (0.00123456789012, "0.00123456789012"),
            (0.000123456789012, "1.23456789012e-4"),
            (1.5e-10, "1.5e-10"),
            (1e17, "100000000000000000"),
            (4e18, "4000000000000000000"),
            (1e19, "1e+19"),
            (-1e19, "-1e+19"),
            (1.2345678901234567e19, "12345678901234567000"),
            (1e100, "1e+100"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (1234567.125, "1234567.125"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(f64_text(value), text);
        }
    }

    proptest! {
        #![proptest_config(crate::fixed_seed())]

        #[test]
        fn integers_round_trip(value: i64) {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            prop_assert_eq!(parse_i64(&out), Some(value));
        }

        #[test]
        fn doubles_round_trip(bits: u64) {
            let value = f64::from_bits(bits);
            let back: f64 = f64_text(value).parse().unwrap();
            prop_assert!(back == value || (back.is_nan() && value.is_nan()));
        }
    }
}
