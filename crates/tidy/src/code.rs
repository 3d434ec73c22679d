//! Rules about Rust code.

use crate::Finding;
use crate::repository::File;
use crate::source::Source;

/// The crates that may contain unsafe code.
const UNSAFE_CRATES: &[&str] = &["uring", "map", "data"];
/// A file with more lines needs an entry in the list of exceptions.
const LONGEST_FILE: usize = 1_000;
/// A function with more lines needs an entry in the list of exceptions.
const LONGEST_FUNCTION: usize = 100;

/// Unsafe code where there must be none, and crates that do not forbid it.
pub fn unsafe_code(file: &File) -> Vec<Finding> {
    if file.crate_folder().is_some_and(|folder| UNSAFE_CRATES.contains(&folder)) {
        return Vec::new();
    }
    let source = Source::cut(&file.text);
    let mut found: Vec<Finding> = source
        .code
        .iter()
        .enumerate()
        .filter(|(_, code)| has_word(code, "unsafe"))
        .map(|(line, _)| Finding::at(&file.path, line, "unsafe code"))
        .collect();
    if is_crate_root(&file.path) && !file.text.contains("#![forbid(unsafe_code)]") {
        found.push(Finding::about(&file.path, "lacks #![forbid(unsafe_code)]"));
    }
    found
}

fn is_crate_root(path: &str) -> bool {
    ["/src/lib.rs", "/src/main.rs"].iter().any(|end| path.ends_with(end))
        || path.contains("/src/bin/")
}

/// Lints that are silenced without a reason, and tests that are switched off.
pub fn attributes(file: &File) -> Vec<Finding> {
    let source = Source::cut(&file.text);
    let mut found = Vec::new();
    for (line, code) in source.code.iter().enumerate() {
        let silences = ["[allow(", "[expect("].iter().any(|start| code.contains(start));
        if silences && !attribute_text(&source.code[line..]).contains("reason") {
            found.push(Finding::at(&file.path, line, "a lint is silenced without a reason"));
        }
        if code.contains("#[ignore") {
            found.push(Finding::at(&file.path, line, "a test is switched off"));
        }
    }
    found
}

/// The code from the first line to the end of the attribute that begins there.
fn attribute_text(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines.iter().take(12) {
        text.push_str(line);
        if line.contains(")]") {
            break;
        }
    }
    text
}

/// Files and functions that are too long and their lengths, as `path` or `path::function`.
pub fn too_long(file: &File) -> Vec<(String, usize)> {
    let lines = file.text.lines().count();
    let mut found = Vec::new();
    if lines > LONGEST_FILE {
        found.push((file.path.clone(), lines));
    }
    for function in Source::cut(&file.text).functions() {
        if function.length > LONGEST_FUNCTION {
            found.push((format!("{}::{}", file.path, function.name), function.length));
        }
    }
    found
}

/// Compares what is too long with the exceptions: exact, so that lengths only go down.
pub fn lengths(found: &[(String, usize)], exceptions: &[(&str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, length) in found {
        let allowed = exceptions.iter().find(|(exception, _)| exception == name).map(|(_, a)| *a);
        if allowed != Some(*length) {
            findings.push(Finding::about(name, format!("{length} lines, allowed: {allowed:?}")));
        }
    }
    for (name, _) in exceptions {
        if !found.iter().any(|(long, _)| long == name) {
            findings.push(Finding::about(name, "is short enough now: drop the exception"));
        }
    }
    findings
}

/// Whether `word` stands in `text` by itself.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !text[..at].chars().next_back().is_some_and(part)
            && !text[at + word.len()..].chars().next().is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn unsafe_code_is_found_outside_its_crates_only() {
        let text = "#![forbid(unsafe_code)]\nfn f() { unsafe { g() } } // unsafe in words is fine";
        assert_eq!(unsafe_code(&file("crates/rt/src/lib.rs", text)).len(), 1);
        assert!(unsafe_code(&file("crates/map/src/lib.rs", text)).is_empty());
        assert_eq!(unsafe_code(&file("crates/rt/src/lib.rs", "fn f() {}")).len(), 1);
        assert!(unsafe_code(&file("crates/rt/src/a.rs", "fn f() { \"unsafe\"; }")).is_empty());
    }

    #[test]
    fn silenced_lints_need_a_reason() {
        let bare = "#[allow(dead_code)]\nfn f() {}";
        let good = "#[allow(\n    dead_code,\n    reason = \"kept\"\n)]\nfn f() {}";
        assert_eq!(attributes(&file("a.rs", bare)).len(), 1);
        assert!(attributes(&file("a.rs", good)).is_empty());
        assert_eq!(attributes(&file("a.rs", "#[test]\n#[ignore]\nfn f() {}")).len(), 1);
    }

    #[test]
    fn exceptions_for_length_are_exact() {
        let long = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(120));
        let found = too_long(&file("a.rs", &long));
        assert_eq!(found, [("a.rs::f".to_owned(), 122)]);
        assert_eq!(lengths(&found, &[]).len(), 1);
        assert_eq!(lengths(&found, &[("a.rs::f", 123)]).len(), 1);
        assert!(lengths(&found, &[("a.rs::f", 122)]).is_empty());
        assert_eq!(lengths(&[], &[("a.rs::f", 122)]).len(), 1);
    }
}
