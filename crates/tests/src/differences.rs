//! Where kevy answers otherwise than the oracle, and why. Each entry carries an example; it fails
//! as soon as both servers answer alike, so that the list cannot outlive its reasons.

use crate::grammar::Arguments;
use crate::value::Value;

/// A rule by which kevy differs.
pub struct Rule {
    /// Why.
    pub reason: &'static str,
    /// Whether a command is concerned.
    applies: fn(&Arguments) -> bool,
    /// A command that shows the difference on an empty server.
    pub example: &'static [&'static str],
    /// What each answers to it; `*` stands for anything.
    pub ours: &'static str,
    /// The oracle's answer, in the same notation.
    pub theirs: &'static str,
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        reason: "CLIENT SETINFO came with Redis 7.2",
        applies: |arguments| subcommand(arguments, "CLIENT", "SETINFO"),
        example: &["CLIENT", "SETINFO", "LIB-NAME", "x"],
        ours: "+OK",
        theirs: "-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.",
    },
    Rule {
        reason: "CLIENT NO-TOUCH came with Redis 7.2",
        applies: |arguments| subcommand(arguments, "CLIENT", "NO-TOUCH"),
        example: &["CLIENT", "NO-TOUCH", "ON"],
        ours: "+OK",
        theirs: "-ERR unknown subcommand 'NO-TOUCH'. Try CLIENT HELP.",
    },
    Rule {
        reason: "the log level `nothing` came with Redis 7.2",
        applies: |arguments| subcommand(arguments, "CONFIG", "SET"),
        example: &["CONFIG", "SET", "LOGLEVEL", "loud"],
        ours: "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must*, warning, nothing",
        theirs: "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must*, warning",
    },
    Rule {
        reason: "since Redis 7.2 BITCOUNT looks at its arguments before the key",
        applies: |arguments| is(arguments, 0, "BITCOUNT"),
        example: &["BITCOUNT", "absent", "0", "x"],
        ours: "-ERR *",
        theirs: ":0",
    },
    Rule {
        reason: "since Redis 7.2 BITPOS looks at its arguments before the key",
        applies: |arguments| is(arguments, 0, "BITPOS"),
        example: &["BITPOS", "absent", "1", "x"],
        ours: "-ERR *",
        theirs: ":*",
    },
    Rule {
        reason: "since Redis 7.2 the error names the command",
        applies: |arguments| is(arguments, 0, "XREAD") || is(arguments, 0, "XREADGROUP"),
        example: &["XREAD", "STREAMS", "a", "b", "0"],
        ours: "-ERR Unbalanced 'xread*' list of streams: for each stream key an ID or '*' must be specified.",
        theirs: "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    },
    Rule {
        reason: "ZRANK WITHSCORE came with Redis 7.2",
        applies: |arguments| is(arguments, 0, "ZRANK"),
        example: &["ZRANK", "absent", "m", "WITHSCORE"],
        ours: "*",
        theirs: "-ERR wrong number of arguments for 'zrank' command",
    },
    Rule {
        reason: "ZREVRANK WITHSCORE came with Redis 7.2",
        applies: |arguments| is(arguments, 0, "ZREVRANK"),
        example: &["ZREVRANK", "absent", "m", "WITHSCORE"],
        ours: "*",
        theirs: "-ERR wrong number of arguments for 'zrevrank' command",
    },
    Rule {
        reason: "GEOSEARCH BYPOLYGON came with Valkey 9",
        applies: |arguments| is(arguments, 0, "GEOSEARCH"),
        example: &["GEOSEARCH", "absent", "FROMLONLAT", "1", "1", "ASC", "ASC"],
        ours: "-ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for *",
        theirs: "-ERR exactly one of BYRADIUS and BYBOX can be specified for *",
    },
    Rule {
        reason: "GEOSEARCHSTORE BYPOLYGON came with Valkey 9",
        applies: |arguments| is(arguments, 0, "GEOSEARCHSTORE"),
        example: &["GEOSEARCHSTORE", "a", "absent", "FROMLONLAT", "1", "1", "ASC", "ASC"],
        ours: "-ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for *",
        theirs: "-ERR exactly one of BYRADIUS and BYBOX can be specified for *",
    },
];

/// Whether a rule explains that the two replies to a command differ.
pub fn excuse(arguments: &Arguments, ours: &Value, theirs: &Value) -> bool {
    RULES.iter().any(|rule| {
        (rule.applies)(arguments)
            && matches(rule.ours, &format!("{ours:?}"))
            && matches(rule.theirs, &format!("{theirs:?}"))
    })
}

fn subcommand(arguments: &Arguments, name: &str, sub: &str) -> bool {
    is(arguments, 0, name) && is(arguments, 1, sub)
}

fn is(arguments: &Arguments, at: usize, word: &str) -> bool {
    arguments.get(at).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        assert!(matches("-ERR *", "-ERR x"));
        assert!(matches("a*b*c", "a1b2c"));
        assert!(matches("abc", "abc"));
        assert!(!matches("abc", "abcd"));
        assert!(!matches("a*b", "a1c"));
        assert!(!matches("-WRONG*", "-ERR x"));
    }
}
