//! Floating-point numbers as Redis reads, adds and writes them.
//!
//! Redis computes `INCRBYFLOAT` in C's `long double`, which on x86-64 has 64 bits of precision; its
//! results are seen by clients and in the log, so the same format is used here, in software.

use rustc_apfloat::ieee::{Double, X87DoubleExtended};
use rustc_apfloat::{Float, FloatConvert, Round};

/// Redis refuses texts of numbers from this length on.
const TEXT_MAX: usize = 5 * 1024;
/// Exponents beyond this are infinite or zero for any mantissa below `TEXT_MAX` digits.
const EXPONENT_MAX: i32 = 100_000;

/// A number in C's syntax for `strtod`, cut into its parts.
struct Number {
    negative: bool,
    magnitude: Magnitude,
}

enum Magnitude {
    Infinite,
    /// Digits with at most one point, their base's exponent, and whether any digit is not 0.
    Finite {
        hexadecimal: bool,
        digits: String,
        exponent: i32,
        nonzero: bool,
    },
}

impl Number {
    /// The whole text as a number; `nan` is none.
    fn parse(text: &[u8]) -> Option<Number> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let infinite = ["inf", "infinity"].iter().any(|name| unsigned.eq_ignore_ascii_case(name));
        let magnitude = if infinite {
            Magnitude::Infinite
        } else if let Some(digits) = unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")) {
            finite(digits, true)?
        } else {
            finite(unsigned, false)?
        };
        Some(Number { negative, magnitude })
    }

    /// The value in some format, rounded to the nearest; none where C's `strtod` would tell of an
    /// overflow, or of an underflow to zero.
    fn value<F: Float>(&self) -> Option<F> {
        let value: F = self.rounded()?;
        let lost = match &self.magnitude {
            Magnitude::Infinite => false,
            Magnitude::Finite { nonzero, .. } => {
                value.is_infinite() || (*nonzero && value.is_zero())
            }
        };
        (!lost).then_some(value)
    }

    /// The value in some format, rounded to the nearest, be it to infinity or zero.
    fn rounded<F: Float>(&self) -> Option<F> {
        let value = match &self.magnitude {
            Magnitude::Infinite => F::INFINITY,
            Magnitude::Finite { hexadecimal, digits, exponent, .. } => {
                let text = if *hexadecimal {
                    format!("0x{digits}p{exponent}")
                } else {
                    format!("{digits}e{exponent}")
                };
                F::from_str_r(&text, Round::NearestTiesToEven).ok()?.value
            }
        };
        Some(if self.negative { -value } else { value })
    }
}

/// Digits with an optional point and an optional exponent.
fn finite(text: &str, hexadecimal: bool) -> Option<Magnitude> {
    let marks = if hexadecimal { ['p', 'P'] } else { ['e', 'E'] };
    let radix = if hexadecimal { 16 } else { 10 };
    let (digits, exponent) = match text.split_once(marks) {
        Some((digits, exponent)) => (digits, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (mut any, mut nonzero, mut points) = (false, false, 0);
    for character in digits.chars() {
        if character == '.' {
            points += 1;
        } else {
            nonzero |= character.to_digit(radix)? > 0;
            any = true;
        }
    }
    (any && points <= 1).then(|| Magnitude::Finite {
        hexadecimal,
        digits: digits.to_owned(),
        exponent,
        nonzero,
    })
}

/// A decimal exponent, cut off at `EXPONENT_MAX`.
fn parse_exponent(text: &str) -> Option<i32> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX);
    Some(if negative { -value } else { value })
}

/// A double as Redis reads scores and increments: C's syntax with hexadecimal and infinities, no
/// spaces, no `nan`; none where the value overflows or underflows to zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    if let Some(value) = crate::number::parse_i64(text) {
        return Some(value as f64);
    }
    // Nearly all are plain decimals, which Rust reads alike; what looks special goes the long way.
    let plain =
        !text.is_empty() && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    if plain && text.len() < 300 {
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        if value.is_normal() {
            return Some(value);
        }
    }
    let value: Double = Number::parse(text)?.value()?;
    Some(f64::from_bits(value.to_bits() as u64))
}

/// A double as Redis reads the ends of intervals of scores: what C's `strtod` makes of the text up
/// to a zero byte, if that is all of it. So blanks may stand in front, nothing at all is 0, and
/// what is too large is infinite.
pub fn parse_f64_bound(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    parse_f64(&text[blanks..]).or_else(|| {
        let value: Double = Number::parse(&text[blanks..])?.rounded()?;
        Some(f64::from_bits(value.to_bits() as u64))
    })
}

/// A number as C's `long double` holds it on x86-64.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// Zero, the value of an absent key.
    pub const ZERO: LongDouble = LongDouble(X87DoubleExtended::ZERO);

    /// Reads a number as `INCRBYFLOAT` does: as [`parse_f64`], in the wider format, from texts
    /// below 5 KiB.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_MAX {
            return None;
        }
        Number::parse(text)?.value().map(LongDouble)
    }

    /// The same number in the wider format.
    pub fn from_f64(value: f64) -> Self {
        LongDouble(Double::from_bits(u128::from(value.to_bits())).convert(&mut false).value)
    }

    /// Whether it is neither infinite nor not a number.
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }

    /// The decimal text with 17 digits behind the point, zeros at its end cut off, never in
    /// exponential notation.
    pub fn to_text(self) -> String {
        if self.0.is_nan() {
            return "nan".to_owned();
        }
        let sign = if self.0.is_negative() { "-" } else { "" };
        if self.0.is_infinite() {
            return format!("{sign}inf");
        }
        let bits = self.0.to_bits();
        let mantissa = bits as u64;
        // Subnormal numbers have the exponent of the smallest normal ones.
        let exponent = ((bits >> 64) as i32 & 0x7fff).max(1) - 16_383 - 63;
        let digits = fixed_point(mantissa, exponent);
        if digits == "0" { digits } else { format!("{sign}{digits}") }
    }
}

impl std::ops::Add for LongDouble {
    type Output = LongDouble;

    fn add(self, other: LongDouble) -> LongDouble {
        LongDouble((self.0 + other.0).value)
    }
}

/// Digits written behind the point.
const FRACTION_DIGITS: u32 = 17;
const FRACTION_UNIT: u128 = 10_u128.pow(FRACTION_DIGITS);

/// The text of `mantissa` × 2^`exponent`, rounded half to even behind the last digit.
fn fixed_point(mantissa: u64, exponent: i32) -> String {
    if exponent >= 0 {
        return shifted(mantissa, exponent.unsigned_abs());
    }
    // Below 2^64 × 10^17, hence below 2^121: exact.
    let scaled = u128::from(mantissa) * FRACTION_UNIT;
    let units = match exponent.unsigned_abs() {
        shift @ 0..128 => round_shift(scaled, shift),
        _ => 0,
    };
    let (whole, fraction) = (units / FRACTION_UNIT, units % FRACTION_UNIT);
    if fraction == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{fraction:017}");
    text.trim_end_matches('0').to_owned()
}

/// `value` / 2^`shift`, rounded half to even; 0 < `shift` < 128.
fn round_shift(value: u128, shift: u32) -> u128 {
    let quotient = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    quotient + u128::from(rest > half || rest == half && quotient & 1 == 1)
}

/// The text of `mantissa` × 2^`shift`.
fn shifted(mantissa: u64, shift: u32) -> String {
    const LIMB: u64 = 1_000_000_000;
    const LIMB_DIGITS: usize = 9;
    /// Bits shifted at a time, such that a shifted limb and its carry fit 64 bits.
    const STEP: u32 = 32;
    let mut limbs = Vec::new();
    let mut rest = mantissa;
    while rest > 0 {
        limbs.push(rest % LIMB);
        rest /= LIMB;
    }
    let mut left = shift;
    while left > 0 {
        let step = left.min(STEP);
        let mut carry = 0;
        for limb in &mut limbs {
            let value = (*limb << step) + carry;
            *limb = value % LIMB;
            carry = value / LIMB;
        }
        while carry > 0 {
            limbs.push(carry % LIMB);
            carry /= LIMB;
        }
        left -= step;
    }
    let mut limbs = limbs.iter().rev();
    let mut text = limbs.next().map_or("0".to_owned(), u64::to_string);
    for limb in limbs {
        text.push_str(&format!("{limb:0LIMB_DIGITS$}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let read = |text: &str| LongDouble::parse(text.as_bytes()).expect("a number");
        (read(a) + read(b)).to_text()
    }

    #[test]
    fn sums_are_those_of_redis() {
        assert_eq!(sum("0.1", "0.2"), "0.3");
        assert_eq!(sum("10.50", "0.1"), "10.6");
        assert_eq!(sum("3.0e3", "200"), "3200");
        assert_eq!(sum("5.0e3", "-5.0e3"), "0");
        assert_eq!(sum("-0.0", "-0.0"), "0");
        assert_eq!(sum("1.23", "0.000000000000000004"), "1.23");
        assert_eq!(sum("0x1p3", "0x10"), "24");
        assert_eq!(sum("1e30", "1"), "1000000000000000000024696061952");
        assert_eq!(sum("9223372036854775807", "1"), "9223372036854775808");
        assert_eq!(sum("-1e-18", "0"), "0");
        assert_eq!(sum("1", "inf"), "inf");
        assert_eq!(sum("-inf", "inf"), "nan");
    }

    #[test]
    fn doubles_have_more_digits_in_the_wider_format() {
        let text = |value: f64| LongDouble::from_f64(value).to_text();
        assert_eq!(text(13.361_389_338_970_184), "13.36138933897018433");
        assert_eq!((text(0.5), text(-3.0)), ("0.5".to_owned(), "-3".to_owned()));
    }

    #[test]
    fn the_largest_number_is_written_out() {
        let text = sum("1.18973149535723176502e4932", "0");
        assert_eq!(text.len(), 4_933);
        assert!(text.starts_with("118973149535723176502126385303097020516906332229462420044"));
    }

    #[test]
    fn syntax_is_that_of_strtold_on_the_whole_text() {
        let good = [
            "1",
            "+1",
            "-1",
            "1.",
            ".5",
            "1e5",
            "1E-5",
            "1e+5",
            "0x1",
            "0X1P-2",
            "0x.8",
            "inf",
            "-INF",
            "+Infinity",
            "0e99999",
            "00012",
            "-0",
            "1e-4940",
            "0x1.8p1",
        ];
        for text in good {
            assert!(LongDouble::parse(text.as_bytes()).is_some(), "{text}");
        }
        let bad = [
            "",
            " 1",
            "1 ",
            "1e",
            "e5",
            ".",
            "-",
            "+",
            "--1",
            "+-1",
            "1..2",
            "0x",
            "0x.",
            "0x1p",
            "nan",
            "-nan",
            "nan(1)",
            "infi",
            "1f",
            "1,5",
            "1e5000",
            "-1e5000",
            "1e-5000",
            "1e5.5",
            "1\0",
            "\u{0661}",
            "1_000",
            "0x1e99p99999999999999",
        ];
        for text in bad {
            assert!(LongDouble::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn doubles_are_read_as_strtod_does() {
        let cases = [
            ("1.5", Some(1.5)),
            ("0x1p4", Some(16.0)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("1e308", Some(1e308)),
            ("1e309", None),
            ("1e-400", None),
            ("5e-324", Some(5e-324)),
            ("0", Some(0.0)),
            ("0.1", Some(0.1)),
            ("1-1", None),
            ("nan", None),
            ("", None),
        ];
        for (text, value) in cases {
            assert_eq!(parse_f64(text.as_bytes()), value, "{text}");
        }
        assert_eq!(parse_f64(b"-0").map(f64::is_sign_negative), Some(true));
        assert_eq!(parse_f64(b"9223372036854775807"), Some(9_223_372_036_854_775_807.0));
    }

    #[test]
    fn ends_of_intervals_are_read_as_bare_strtod_does() {
        let cases = [
            ("", Some(0.0)),
            (" \t\n1.5", Some(1.5)),
            ("1e400", Some(f64::INFINITY)),
            ("-1e400", Some(f64::NEG_INFINITY)),
            ("1e-400", Some(0.0)),
            ("2\0x", Some(2.0)),
            ("+inf", Some(f64::INFINITY)),
            ("0x10", Some(16.0)),
            (" ", None),
            ("1 ", None),
            ("nan", None),
            ("x", None),
        ];
        for (text, value) in cases {
            assert_eq!(parse_f64_bound(text.as_bytes()), value, "{text:?}");
        }
    }
}
