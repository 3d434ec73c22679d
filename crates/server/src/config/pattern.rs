//! Glob patterns over directive names, as `CONFIG GET` takes them.

/// Whether `pattern` holds a character that makes it more than a plain name.
pub(super) fn is_pattern(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether `name` matches `pattern` without regard to ASCII case.
///
/// `*` stands for any bytes, `?` for one, `[abc]`, `[^abc]` and `[a-c]` for one of a set, and `\`
/// takes the next byte literally. An unclosed set extends to the end of the pattern.
///
/// Runs in O(pattern × name): on a mismatch only the last `*` is tried again.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
        } else if let Some(length) = match_one(&pattern[p..], name[n]) {
            p += length;
            n += 1;
        } else if let Some((after_star, from)) = retry {
            p = after_star;
            n = from + 1;
            retry = Some((after_star, n));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// The length of the pattern's first element if it matches `byte`.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => literal.eq_ignore_ascii_case(&byte).then_some(2),
        [b'[', ref set @ ..] => match_set(set, byte).map(|length| length + 1),
        [literal, ..] => literal.eq_ignore_ascii_case(&byte).then_some(1),
    }
}

/// Matches `byte` against the set whose opening bracket stands before `set`; returns the length up
/// to and with the closing one.
fn match_set(set: &[u8], byte: u8) -> Option<usize> {
    let byte = byte.to_ascii_lowercase();
    let negated = set.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match set[at.min(set.len())..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                found |= literal.eq_ignore_ascii_case(&byte);
                at += 2;
            }
            [a, b'-', b, ..] => {
                let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
                found |= (a.min(b)..=a.max(b)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= literal.eq_ignore_ascii_case(&byte);
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_documented() {
        let yes = [
            ("*", "maxmemory"),
            ("maxmemory*", "maxmemory-policy"),
            ("*of", "slaveof"),
            ("MAX*", "maxclients"),
            ("h?", "hz"),
            ("[gh]z", "hz"),
            ("[^a-f]z", "hz"),
            ("[a-z]z", "hz"),
            ("*-*-*", "a-b-c"),
            ("*a*b*c", "xaybzc"),
            ("\\hz", "hz"),
            ("h[z", "hz"),
        ];
        let no = [("maxmemory", "maxmemory-policy"), ("h?", "h"), ("[^h]z", "hz"), ("", "a")];
        for (pattern, name) in yes {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }
}
