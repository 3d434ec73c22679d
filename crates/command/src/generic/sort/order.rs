//! The order of elements by their weights.

use super::Texts;
use crate::Error;
use kevy_data::number::parse_f64;
use std::cmp::Ordering;
use std::ops::Range;

/// Which end of the order comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// What elements are sorted by.
pub(super) enum Weights {
    /// Their own texts.
    Themselves,
    /// A number for each.
    Numbers(Vec<f64>),
    /// A text for each, where there is one.
    Texts(Texts, Vec<bool>),
}

impl Weights {
    pub(super) fn texts() -> Self {
        Self::Texts(Texts::default(), Vec::new())
    }

    /// Numbers read from texts; where there is none, 0.
    pub(super) fn numbers<'t>(
        texts: impl Iterator<Item = Option<&'t [u8]>>,
    ) -> Result<Self, Error> {
        let mut weights = Self::Numbers(Vec::with_capacity(texts.size_hint().0));
        for text in texts {
            weights.push(text)?;
        }
        Ok(weights)
    }

    /// Adds the weight of the next element.
    pub(super) fn push(&mut self, text: Option<&[u8]>) -> Result<(), Error> {
        match self {
            Self::Themselves => {}
            Self::Numbers(numbers) => numbers.push(text.map_or(Ok(0.0), number)?),
            Self::Texts(texts, present) => {
                texts.push(text.unwrap_or_default());
                present.push(text.is_some());
            }
        }
        Ok(())
    }

    fn compare(&self, elements: &Texts, a: usize, b: usize) -> Ordering {
        match self {
            Self::Themselves => elements.get(a).cmp(elements.get(b)),
            Self::Numbers(numbers) => numbers[a]
                .partial_cmp(&numbers[b])
                .unwrap_or(Ordering::Equal)
                .then_with(|| elements.get(a).cmp(elements.get(b))),
            // What has no weight comes first.
            Self::Texts(texts, present) => {
                (present[a], texts.get(a)).cmp(&(present[b], texts.get(b)))
            }
        }
    }
}

/// A number as C's `strtod` reads it up to a zero byte: blanks in front, nothing at all is 0.
fn number(text: &[u8]) -> Result<f64, Error> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    if text.is_empty() {
        return Ok(0.0);
    }
    parse_f64(&text[blanks..])
        .ok_or(Error::new("ERR One or more scores can't be converted into double"))
}

/// The numbers of the elements that are at the places `wanted` of the order.
///
/// Elements of equal weight stay as they come; those of a set, which come in no order that would
/// be the same the next time, are ordered by their texts.
pub(super) fn order(
    elements: &Texts,
    weights: &Weights,
    of_set: bool,
    direction: Direction,
    wanted: Range<usize>,
) -> Vec<usize> {
    let compare = |a: &usize, b: &usize| {
        let order = weights.compare(elements, *a, *b);
        let order = if direction == Direction::Descending { order.reverse() } else { order };
        let texts = || {
            if of_set { elements.get(*a).cmp(elements.get(*b)) } else { Ordering::Equal }
        };
        order.then_with(texts).then(a.cmp(b))
    };
    let mut all: Vec<usize> = (0..elements.len()).collect();
    // Only what is wanted is put in order: what lies behind it is cut off, and what lies before it
    // is set apart.
    if wanted.end < all.len() {
        if wanted.end > 0 {
            all.select_nth_unstable_by(wanted.end, compare);
        }
        all.truncate(wanted.end);
    }
    if wanted.start > 0 && wanted.start < all.len() {
        all.select_nth_unstable_by(wanted.start, compare);
    }
    let mut chosen = all.split_off(wanted.start.min(all.len()));
    chosen.sort_unstable_by(compare);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in
            [("", 0.0), (" 12", 12.0), ("0x10", 16.0), ("-inf", f64::NEG_INFINITY), ("1\0x", 1.0)]
        {
            assert_eq!(number(text.as_bytes()), Ok(expected), "{text:?}");
        }
        for text in [" ", "x", "1x", "nan", "1e400", "1 "] {
            assert!(number(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(crate::test::config(300))]

        #[test]
        fn a_part_of_the_order_is_that_of_the_whole(
            elements in proptest::collection::vec("[ab]{0,2}", 0..30),
            descending: bool,
            by in 0u8..3,
            range in (0usize..35, 0usize..35),
        ) {
            let mut texts = Texts::default();
            elements.iter().for_each(|element| texts.push(element.as_bytes()));
            let mut weights = match by {
                0 => Weights::Themselves,
                1 => Weights::numbers([].into_iter()).unwrap(),
                _ => Weights::texts(),
            };
            for element in &elements {
                let number = element.len().to_string();
                weights.push((element != "ab").then_some(number.as_bytes())).unwrap();
            }
            let direction =
                if descending { Direction::Descending } else { Direction::Ascending };
            let len = elements.len();
            let start = range.0.min(len);
            let wanted = start..(start + range.1).min(len);
            // The simple algorithm: a stable sort of everything.
            let mut whole: Vec<usize> = (0..len).collect();
            whole.sort_by(|a, b| {
                let order = weights.compare(&texts, *a, *b);
                if descending { order.reverse() } else { order }
            });
            let part = order(&texts, &weights, false, direction, wanted.clone());
            prop_assert_eq!(&part[..], &whole[wanted]);
        }
    }
}
