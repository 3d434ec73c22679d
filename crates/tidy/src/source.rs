//! A look at Rust text just deep enough for the rules: what is code, what is comment, where a
//! function begins and ends.

/// A file cut into code and comments, line by line: where one has text, the other has blanks.
/// The contents of strings and characters are blank in both.
pub struct Source {
    /// The code of each line.
    pub code: Vec<String>,
    /// The comments of each line.
    pub comments: Vec<String>,
}

/// A function and its length.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, counted from 0.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub length: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    BlockComment { depth: u32 },
    Text { hashes: Option<usize> },
}

impl Source {
    /// Cuts `text`.
    pub fn cut(text: &str) -> Source {
        let characters: Vec<char> = text.chars().collect();
        let mut code = String::new();
        let mut comments = String::new();
        let mut state = State::Code;
        let mut at = 0;
        while at < characters.len() {
            let (next, length) = step(&characters, at, state);
            for &character in &characters[at..at + length] {
                let blank = if character == '\n' { '\n' } else { ' ' };
                let in_comment =
                    |s: State| matches!(s, State::LineComment | State::BlockComment { .. });
                let is_comment = in_comment(state) || in_comment(next);
                let is_code = state == State::Code && next == State::Code;
                code.push(if is_code { character } else { blank });
                comments.push(if is_comment { character } else { blank });
            }
            state = next;
            at += length;
        }
        let lines = |text: String| text.split('\n').map(str::to_owned).collect();
        Source { code: lines(code), comments: lines(comments) }
    }

    /// All functions with a body.
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (line, code) in self.code.iter().enumerate() {
            for (column, _) in code.match_indices("fn ") {
                let before = code[..column].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let rest = &code[column + 3..];
                let name: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if let Some(last) = self.end_of_body(line, column).filter(|_| !name.is_empty()) {
                    found.push(Function { name, line, length: last - line + 1 });
                }
            }
        }
        found
    }

    /// The line of the brace that closes the body of the function at `line` and `column`; none if
    /// it is only declared.
    fn end_of_body(&self, line: usize, column: usize) -> Option<usize> {
        let mut depth = 0_i32;
        let mut brackets = 0_i32;
        for (number, code) in self.code.iter().enumerate().skip(line) {
            let from = if number == line { column } else { 0 };
            for character in code[from..].chars() {
                match character {
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets -= 1,
                    ';' if depth == 0 && brackets == 0 => return None,
                    '{' => depth += 1,
                    '}' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(number);
                        }
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

/// The state after the next few characters, and how many these are.
fn step(characters: &[char], at: usize, state: State) -> (State, usize) {
    let ahead =
        |text: &str| text.chars().enumerate().all(|(i, c)| characters.get(at + i) == Some(&c));
    match state {
        State::Code if ahead("//") => (State::LineComment, 2),
        State::Code if ahead("/*") => (State::BlockComment { depth: 1 }, 2),
        State::Code => code_step(characters, at),
        State::LineComment if ahead("\n") => (State::Code, 1),
        State::BlockComment { depth } if ahead("/*") => {
            (State::BlockComment { depth: depth + 1 }, 2)
        }
        State::BlockComment { depth: 1 } if ahead("*/") => (State::Code, 2),
        State::BlockComment { depth } if ahead("*/") => {
            (State::BlockComment { depth: depth - 1 }, 2)
        }
        State::Text { hashes: None } if ahead("\\") => (state, 2.min(characters.len() - at)),
        State::Text { hashes: None } if ahead("\"") => (State::Code, 1),
        State::Text { hashes: Some(count) } if ahead(&format!("\"{}", "#".repeat(count))) => {
            (State::Code, 1 + count)
        }
        _ => (state, 1),
    }
}

/// Within code: does a string or a character begin here?
fn code_step(characters: &[char], at: usize) -> (State, usize) {
    let before = at.checked_sub(1).map(|before| characters[before]);
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match characters[at] {
        '"' => (State::Text { hashes: None }, 1),
        'r' if !in_word || before == Some('b') => {
            let hashes = characters[at + 1..].iter().take_while(|c| **c == '#').count();
            if characters.get(at + 1 + hashes) == Some(&'"') {
                return (State::Text { hashes: Some(hashes) }, 2 + hashes);
            }
            (State::Code, 1)
        }
        // A character, not a lifetime: 'x' or '\…'. It is passed over as one piece of code.
        '\'' if characters.get(at + 1) == Some(&'\\') => {
            let length = characters[at + 3..].iter().position(|c| *c == '\'');
            (State::Code, length.map_or(1, |length| length + 4))
        }
        '\'' if characters.get(at + 2) == Some(&'\'') => (State::Code, 3),
        _ => (State::Code, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_comments_are_told_apart() {
        let source = Source::cut(
            "let a = \"// no\"; // yes\n/* in /* deep */ still */ let b = '\"'; let c: &'static str = r#\"x\"y\"#;",
        );
        assert_eq!(source.comments[0].trim(), "// yes");
        assert!(source.code[0].contains("let a ="));
        assert!(!source.code[0].contains("no"));
        assert!(source.comments[1].contains("still */"));
        assert!(source.code[1].contains("let b"));
        assert!(source.code[1].contains("&'static str = "));
        assert!(!source.code[1].contains('y'));
    }

    #[test]
    fn functions_have_lengths() {
        let source = Source::cut(
            "fn one() { 1 }\n\npub fn two(a: [u8; 4])\n-> u8 {\n  if a { b }\n}\ntrait T { fn declared(&self); }\nlet x: fn (u8) = f;",
        );
        let found: Vec<_> =
            source.functions().into_iter().map(|f| (f.name, f.line, f.length)).collect();
        assert_eq!(found, [("one".into(), 0, 1), ("two".into(), 2, 4)]);
    }
}
