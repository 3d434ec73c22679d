//! Patterns of `KEYS`, `SCAN` and their like.
//!
//! `*` any bytes, `?` one byte, `[abc]`, `[a-z]`, `[^a]` one byte of a class, `\x` the byte `x`.
//! Corner cases are those of Redis: a class that is not closed ends with the pattern, bounds of a
//! range may come in either order and are compared as signed bytes, a backslash at the very end
//! is itself.

/// Groups of stars that a pattern may need. Redis bounds its recursion by it, and it bounds the
/// work that a long pattern makes with a long key here.
const MAX_STARS: usize = 1000;

/// Whether `pattern` matches all of `text`.
///
/// Takes at most as many steps as the product of both lengths: behind the last `*` seen, a longer
/// match of an earlier one cannot help, so only the last one is ever tried again.
///
/// Behind more than [`MAX_STARS`] groups of stars nothing matches, as in Redis.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut at, mut read) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    while let Some(byte) = text.get(read) {
        if pattern.get(at) == Some(&b'*') {
            at = behind_stars(pattern, at);
            if at == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > MAX_STARS {
                return false;
            }
            retry = Some((at, read));
            continue;
        }
        if let Some(next) = step(pattern, at, *byte, ignore_case) {
            at = next;
            read += 1;
            continue;
        }
        let Some((after_star, tried)) = retry else { return false };
        retry = Some((after_star, tried + 1));
        (at, read) = (after_star, tried + 1);
    }
    behind_stars(pattern, at) == pattern.len()
}

/// Whether `pattern` matches everything, so that nobody needs to ask.
#[must_use]
pub fn matches_all(pattern: &[u8]) -> bool {
    pattern == b"*"
}

fn behind_stars(pattern: &[u8], at: usize) -> usize {
    at + pattern[at..].iter().take_while(|byte| **byte == b'*').count()
}

/// Where the pattern goes on if its element at `at`, no star, matches `byte`.
fn step(pattern: &[u8], at: usize, byte: u8, ignore_case: bool) -> Option<usize> {
    let (matched, next) = match *pattern.get(at)? {
        b'?' => (true, at + 1),
        b'[' => class(pattern, at + 1, byte, ignore_case),
        b'\\' if at + 1 < pattern.len() => (same(pattern[at + 1], byte, ignore_case), at + 2),
        literal => (same(literal, byte, ignore_case), at + 1),
    };
    matched.then_some(next)
}

/// Matches `byte` with the class whose inside begins at `at`; also where the class ends.
fn class(pattern: &[u8], mut at: usize, byte: u8, ignore_case: bool) -> (bool, usize) {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match pattern.get(at..).unwrap_or_default() {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [low, b'-', high, ..] => {
                found |= in_range(*low, *high, byte, ignore_case);
                at += 3;
            }
            [one, ..] => {
                found |= same(*one, byte, ignore_case);
                at += 1;
            }
        }
    }
    (found != negated, at)
}

fn in_range(low: u8, high: u8, byte: u8, ignore_case: bool) -> bool {
    let (low, high) = if (low as i8) <= high as i8 { (low, high) } else { (high, low) };
    let fold = |byte: u8| if ignore_case { byte.to_ascii_lowercase() } else { byte } as i8;
    (fold(low)..=fold(high)).contains(&fold(byte))
}

fn same(a: u8, b: u8, ignore_case: bool) -> bool {
    a == b || (ignore_case && a.eq_ignore_ascii_case(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn too_many_stars_match_nothing() {
        let text = vec![b'a'; 5000];
        assert!(matches(&b"*?".repeat(MAX_STARS), &text, false));
        assert!(!matches(&b"*?".repeat(MAX_STARS + 1), &text, false));
        assert!(matches(&[&b"*?".repeat(MAX_STARS)[..], b"*"].concat(), &text, false));
    }

    /// The definition: a star tries every length, shortest first.
    fn model(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
        match (pattern.first(), text.first()) {
            (None, _) => text.is_empty(),
            (Some(b'*'), _) => {
                (0..=text.len()).any(|n| model(&pattern[1..], &text[n..], ignore_case))
            }
            (Some(_), None) => false,
            (Some(_), Some(byte)) => step(pattern, 0, *byte, ignore_case)
                .is_some_and(|next| model(&pattern[next..], &text[1..], ignore_case)),
        }
    }

    proptest! {
        #![proptest_config(crate::test::config(2_000))]
        #[test]
        fn it_is_the_definition(
            pattern in "[ab*?\\[\\]^\\\\-]{0,8}", text in "[abB-]{1,8}", ignore_case: bool
        ) {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text, ignore_case), model(pattern, text, ignore_case));
        }
    }

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
        for text in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
    }

    #[test]
    fn elements() {
        check("h?llo", &["hello", "hallo"], &["hllo", "heello"]);
        check("h*llo", &["hllo", "heeello"], &["hell"]);
        check("h[ae]llo", &["hello", "hallo"], &["hillo"]);
        check("h[^e]llo", &["hallo"], &["hello"]);
        check("h[a-b]llo", &["hallo", "hbllo"], &["hcllo"]);
        check("h[b-a]llo", &["hallo", "hbllo"], &["hcllo"]);
        check(r"\*[\]]", &["*]"], &["a]", "*"]);
        check(r"a\", &[r"a\"], &["a"]);
        check("[ab", &["a", "b"], &["c", "["]);
        check("[", &[], &["[", "a"]);
        check("[^", &["a"], &[]);
        check("*a*b*", &["ab", "xaxbx"], &["ba"]);
        check("", &[""], &["a"]);
        check("*", &["a"], &[""]);
    }

    #[test]
    fn case_is_ignored_on_demand() {
        assert!(matches(b"GE[T-T]", b"get", true));
        assert!(!matches(b"GET", b"get", false));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(5_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(10_000).as_bytes(), false));
    }
}
