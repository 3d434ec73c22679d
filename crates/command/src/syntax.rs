//! The syntax line of a row, read into the tree that `COMMAND DOCS` describes.
//!
//! ```text
//! key value [NX | XX] [EX seconds | PX milliseconds]
//! ```
//! Words in capitals are tokens to be written as they are, others are arguments; `[…]` may be left
//! out, `<…>` may not, `|` separates alternatives, and `[key ...]` or `[key value ...]` says that
//! what stands before may come again. An argument's type follows from its name; where it does not,
//! it stands behind a colon (`increment:double`).

use std::iter::Peekable;
use std::vec::IntoIter;

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Any bytes.
    String,
    /// A 64-bit integer.
    Integer,
    /// A number with a fraction.
    Double,
    /// The name of a key.
    Key,
    /// A glob.
    Pattern,
    /// A point in time.
    UnixTime,
    /// A token alone.
    PureToken,
    /// One of its children.
    OneOf,
    /// All of its children.
    Block,
}

impl Kind {
    /// The name that `COMMAND DOCS` gives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf => "oneof",
            Self::Block => "block",
        }
    }

    fn of(name: &str, annotation: Option<&str>) -> Option<Self> {
        Some(match (annotation, name) {
            (Some("double"), _) => Self::Double,
            (Some("string"), _) => Self::String,
            (Some("integer"), _) => Self::Integer,
            (Some(_), _) => return None,
            (
                None,
                "key" | "key1" | "key2" | "newkey" | "source" | "destination" | "destkey"
                | "sourcekey",
            ) => Self::Key,
            (None, "pattern") => Self::Pattern,
            (None, "unix-time-seconds" | "unix-time-milliseconds") => Self::UnixTime,
            (None, "seconds" | "milliseconds" | "count" | "offset" | "start" | "end") => {
                Self::Integer
            }
            (None, "increment" | "decrement" | "index" | "index1" | "index2") => Self::Integer,
            (
                None,
                "numfields" | "cursor" | "db" | "destination-db" | "protover" | "min-match-len",
            ) => Self::Integer,
            (None, _) => Self::String,
        })
    }
}

/// One argument, or several under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The word that is written in front of it.
    pub token: Option<String>,
    /// It may be left out.
    pub optional: bool,
    /// It may come again.
    pub multiple: bool,
    /// The parts of a block or the alternatives of a choice.
    pub children: Vec<Argument>,
}

impl Argument {
    fn new(name: &str, kind: Kind) -> Self {
        let (token, children) = (None, Vec::new());
        Self { name: name.to_owned(), kind, token, optional: false, multiple: false, children }
    }

    fn group(kind: Kind, children: Vec<Self>) -> Self {
        let separator = if kind == Kind::OneOf { "-or-" } else { "-" };
        let names: Vec<&str> = children.iter().map(|child| child.name.as_str()).collect();
        let mut group = Self::new(&names.join(separator), kind);
        group.children = children;
        group
    }
}

/// Reads a syntax line.
///
/// # Errors
/// What is wrong with the line.
pub fn parse(line: &str) -> Result<Vec<Argument>, String> {
    let mut parser = Parser { tokens: tokens(line).into_iter().peekable() };
    let found = parser.sequence()?;
    match parser.tokens.next() {
        None => Ok(found.items),
        Some(token) => Err(format!("unexpected {token:?}")),
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Open(char),
    Close(char),
    Bar,
    Again,
    Word(String),
}

fn tokens(line: &str) -> Vec<Token> {
    let mut spaced = line.to_owned();
    for sign in ["[", "]", "<", ">", "|"] {
        spaced = spaced.replace(sign, &format!(" {sign} "));
    }
    let token = |word: &str| match word {
        "[" => Token::Open('['),
        "<" => Token::Open('<'),
        "]" => Token::Close(']'),
        ">" => Token::Close('>'),
        "|" => Token::Bar,
        "..." => Token::Again,
        word => Token::Word(word.to_owned()),
    };
    spaced.split_whitespace().map(token).collect()
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
}

/// Arguments in a row; `again` if they end with `...`.
struct Sequence {
    items: Vec<Argument>,
    again: bool,
}

impl Parser {
    fn sequence(&mut self) -> Result<Sequence, String> {
        let mut found = Sequence { items: Vec::new(), again: false };
        loop {
            match self.tokens.peek() {
                Some(Token::Word(_)) => {
                    let argument = self.word()?;
                    found.items.push(argument);
                }
                Some(Token::Open(open)) => {
                    let open = *open;
                    self.tokens.next();
                    self.group(open, &mut found.items)?;
                }
                Some(Token::Again) => {
                    self.tokens.next();
                    found.again = true;
                    return Ok(found);
                }
                Some(Token::Bar | Token::Close(_)) | None => return Ok(found),
            }
        }
    }

    /// A token with what it introduces, or an argument.
    fn word(&mut self) -> Result<Argument, String> {
        let Some(Token::Word(word)) = self.tokens.next() else {
            return Err("a word was expected".to_owned());
        };
        if !is_token(&word) {
            return argument(&word);
        }
        let mut introduced = Vec::new();
        while let Some(Token::Word(next)) = self.tokens.peek()
            && !is_token(next)
        {
            introduced.push(argument(next)?);
            self.tokens.next();
        }
        let mut found = match introduced.len() {
            0 => Argument::new(&word.to_ascii_lowercase(), Kind::PureToken),
            1 => introduced.remove(0),
            _ => Argument { name: word.to_ascii_lowercase(), ..block(introduced) },
        };
        found.token = Some(word);
        Ok(found)
    }

    /// What stands between brackets; a repetition changes the items before it instead.
    fn group(&mut self, open: char, before: &mut Vec<Argument>) -> Result<(), String> {
        let mut alternatives = vec![self.sequence()?];
        while self.tokens.next_if_eq(&Token::Bar).is_some() {
            alternatives.push(self.sequence()?);
        }
        let close = if open == '[' { ']' } else { '>' };
        if self.tokens.next() != Some(Token::Close(close)) {
            return Err(format!("{open} is not closed"));
        }
        if let [only] = alternatives.as_slice()
            && only.again
            && repeat(before, &only.items)
        {
            return Ok(());
        }
        let mut options = Vec::new();
        let mut multiple = false;
        for alternative in alternatives {
            multiple |= alternative.again;
            options.push(one(alternative.items)?);
        }
        let mut found = if options.len() == 1 {
            options.remove(0)
        } else {
            Argument::group(Kind::OneOf, options)
        };
        found.multiple |= multiple;
        found.optional |= open == '[';
        before.push(found);
        Ok(())
    }
}

/// Several arguments as one.
fn one(mut items: Vec<Argument>) -> Result<Argument, String> {
    match items.len() {
        0 => Err("nothing between brackets".to_owned()),
        1 => Ok(items.remove(0)),
        _ => Ok(block(items)),
    }
}

fn block(items: Vec<Argument>) -> Argument {
    Argument::group(Kind::Block, items)
}

/// Marks the last items of `before` as repeatable if they are those of `again`; or the last ones of
/// what the last token introduces.
fn repeat(before: &mut Vec<Argument>, again: &[Argument]) -> bool {
    if let Some(Argument { kind: Kind::Block, token: Some(_), children, .. }) = before.last_mut() {
        return repeat(children, again);
    }
    let Some(start) = before.len().checked_sub(again.len()) else { return false };
    if again.is_empty() || before[start..] != *again {
        return false;
    }
    let items = before.split_off(start);
    let mut found = if items.len() == 1 { items[0].clone() } else { block(items) };
    found.multiple = true;
    before.push(found);
    true
}

fn argument(word: &str) -> Result<Argument, String> {
    let (name, annotation) = match word.split_once(':') {
        Some((name, annotation)) => (name, Some(annotation)),
        None => (word, None),
    };
    let kind = Kind::of(name, annotation).ok_or_else(|| format!("unknown type in {word}"))?;
    Ok(Argument::new(name, kind))
}

fn is_token(word: &str) -> bool {
    !word.bytes().any(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per tree: `name:kind`, `TOKEN=` in front, `?` optional, `+` multiple.
    fn show(arguments: &[Argument]) -> String {
        let show_one = |argument: &Argument| {
            let token = argument.token.as_ref().map_or(String::new(), |token| format!("{token}="));
            let children = match argument.children.is_empty() {
                true => String::new(),
                false => format!("({})", show(&argument.children)),
            };
            let optional = if argument.optional { "?" } else { "" };
            let multiple = if argument.multiple { "+" } else { "" };
            format!(
                "{token}{}:{}{children}{optional}{multiple}",
                argument.name,
                argument.kind.name()
            )
        };
        arguments.iter().map(show_one).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(show(&parse(line).unwrap()), expected);
    }

    #[test]
    fn trees() {
        check("key value", "key:key value:string");
        check("key increment:double", "key:key increment:double");
        check("[message]", "message:string?");
        check("key [key ...]", "key:key+");
        check("key value [key value ...]", "key-value:block(key:key value:string)+");
        check(
            "FIELDS numfields field [field ...]",
            "FIELDS=fields:block(numfields:integer field:string+)",
        );
        check("[command-name [command-name ...]]", "command-name:string?+");
        check("key [NX | XX]", "key:key nx-or-xx:oneof(NX=nx:pure-token XX=xx:pure-token)?");
        check(
            "[EX seconds | KEEPTTL]",
            "seconds-or-keepttl:oneof(EX=seconds:integer KEEPTTL=keepttl:pure-token)?",
        );
        check("<ON | OFF>", "on-or-off:oneof(ON=on:pure-token OFF=off:pure-token)");
        check(
            "[protover [AUTH username password] [SETNAME clientname]]",
            "protover-auth-clientname:block(protover:integer AUTH=auth:block(username:string \
             password:string)? SETNAME=clientname:string?)?",
        );
    }

    #[test]
    fn mistakes_are_named() {
        for line in ["[key", "key]", "<>", "a:b", "| a"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
