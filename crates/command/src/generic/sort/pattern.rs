//! The patterns of `BY` and `GET`: which key an element refers to.

use crate::Args;
use kevy_data::{Hash, StringRef};
use kevy_keyspace::Keyspace;

/// A pattern: `#` is the element itself; else the first `*` stands for the element, and what is
/// behind `->` is a field of a hash.
pub(super) struct Pattern<'a> {
    text: &'a [u8],
    parts: Option<Parts<'a>>,
}

/// A pattern that names keys.
struct Parts<'a> {
    before: &'a [u8],
    after: &'a [u8],
    field: Option<&'a [u8]>,
}

/// What a pattern leads to.
pub(super) enum Found<'k> {
    /// No key, or one of another type, or a hash without the field.
    Nothing,
    /// The element itself.
    Element,
    /// A string, or the value of a field.
    Value(StringRef<'k>),
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, parts: Parts::of(text) }
    }

    /// Whether it is the same for all elements.
    pub(super) fn is_constant(&self) -> bool {
        self.parts.is_none()
    }

    /// What an element refers to.
    pub(super) fn find<'k>(&self, ks: &'k mut Keyspace<'_>, element: &[u8]) -> Found<'k> {
        let Some(Parts { before, after, field }) = &self.parts else {
            return if self.text == b"#" { Found::Element } else { Found::Nothing };
        };
        let name = [before, element, after].concat();
        let (key, now_ms) = (ks.key(&name), ks.now_ms());
        let Some(record) = ks.get(&key) else { return Found::Nothing };
        let value = match field {
            Some(field) => record.collection::<Hash>().and_then(|hash| hash.at(now_ms).get(field)),
            None => record.string(),
        };
        value.map_or(Found::Nothing, Found::Value)
    }
}

impl<'a> Parts<'a> {
    /// As in Redis, which reads patterns as C's strings, nothing counts behind a zero byte but as
    /// a part of the name.
    fn of(text: &'a [u8]) -> Option<Self> {
        let shown = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
        let star = memchr::memchr(b'*', shown)?;
        let arrow = memchr::memmem::find(&shown[star + 1..], b"->").map(|at| star + 1 + at);
        let (end, field) = match arrow {
            Some(at) if at + 2 < shown.len() => (at, Some(&text[at + 2..])),
            _ => (text.len(), None),
        };
        Some(Self { before: &text[..star], after: &text[star + 1..end], field })
    }
}

/// Whether a call may read other keys than its first. Words that are no options count too.
pub(super) fn refers(args: &Args<'_>) -> bool {
    let words = || args.iter().skip(2);
    words().zip(words().skip(1)).any(|(option, pattern)| {
        let reads = option.eq_ignore_ascii_case(b"BY") || option.eq_ignore_ascii_case(b"GET");
        reads && Parts::of(pattern).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<[&[u8]; 3]> {
        let parts = Parts::of(text.as_bytes())?;
        Some([parts.before, parts.after, parts.field.unwrap_or(b"none")])
    }

    #[test]
    fn the_first_star_is_the_element_and_an_arrow_leads_to_a_field() {
        for (text, before, after, field) in [
            ("weight_*", "weight_", "", "none"),
            ("a*b*c", "a", "b*c", "none"),
            ("*->f", "", "", "f"),
            ("x*y->f->g", "x", "y", "f->g"),
            ("x*->", "x", "->", "none"),
            ("a->b*", "a->b", "", "none"),
            ("*\0->f", "", "\0->f", "none"),
        ] {
            assert_eq!(parts(text), Some([before, after, field].map(str::as_bytes)), "{text:?}");
        }
        assert!(["#", "nosort", "", "a\0*"].into_iter().all(|text| parts(text).is_none()));
    }
}
