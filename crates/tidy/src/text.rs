//! Rules about words: comments, unfinished work, paths of one machine, links.

use crate::Finding;
use crate::code::has_word;
use crate::repository::File;
use crate::source::Source;
use std::path::Path;

/// History in comments: dates, versions of ours, numbers of tickets. It belongs into commits.
pub fn history(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, comment) in Source::cut(&file.text).comments.iter().enumerate() {
        let lower = comment.to_lowercase();
        let words = ["formerly", "milestone", "refactored", "helper session"];
        let told = words.iter().find(|word| has_word(&lower, word));
        if let Some(word) = told {
            found.push(Finding::at(&file.path, line, format!("history in a comment: {word:?}")));
        } else if has_date(comment) || has_version(comment) || has_ticket(&lower) {
            found.push(Finding::at(&file.path, line, "history in a comment"));
        }
    }
    found
}

/// A date: year, month and day with hyphens.
fn has_date(text: &str) -> bool {
    let shape = |part: &str| {
        let bytes = part.as_bytes();
        bytes.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
    };
    text.char_indices().any(|(at, _)| text.get(at..at + 10).is_some_and(shape))
}

/// A version: a `v` and numbers with dots. Versions of others are written with their names: Redis 7.2.
fn has_version(text: &str) -> bool {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '.'));
    words.filter_map(|word| word.strip_prefix('v')?.split_once('.')).any(|(major, minor)| {
        let digits = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
        digits(major) && digits(minor)
    })
}

/// A number of a ticket: with a hash sign or the word before it.
fn has_ticket(text: &str) -> bool {
    let numbered = |after: &str| after.starts_with(|c: char| c.is_ascii_digit());
    text.match_indices('#')
        .any(|(at, _)| numbered(&text[at + 1..]) && (at == 0 || text[..at].ends_with([' ', '('])))
        || ["issue ", "ticket ", "pull request "]
            .iter()
            .any(|word| text.match_indices(word).any(|(at, _)| numbered(&text[at + word.len()..])))
}

/// Marks of unfinished work.
pub fn unfinished(file: &File) -> Vec<Finding> {
    // Put together here, or this file would find itself.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let macros = [concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut found = Vec::new();
    for (line, text) in file.text.lines().enumerate() {
        let mark = marks.iter().find(|mark| has_word(text, mark));
        if let Some(mark) = mark.or_else(|| macros.iter().find(|name| text.contains(*name))) {
            found.push(Finding::at(&file.path, line, format!("unfinished: {mark}")));
        }
    }
    found
}

/// Paths that exist on one machine only, and hosts from which packages happened to come.
pub fn places(file: &File) -> Vec<Finding> {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Use", "rs/"),
    ];
    let hosts = [
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("registry.", "npmjs.org"),
        concat!("pypi", ".org"),
        concat!("arti", "factory"),
    ];
    let mut found = Vec::new();
    for (line, text) in file.text.lines().enumerate() {
        let begins = |at: usize| {
            text[..at]
                .chars()
                .next_back()
                .is_none_or(|c| !(c.is_alphanumeric() || "._-/}*".contains(c)))
        };
        let path = paths.iter().find(|path| text.match_indices(*path).any(|(at, _)| begins(at)));
        if let Some(place) = path.or_else(|| hosts.iter().find(|host| text.contains(*host))) {
            found.push(Finding::at(&file.path, line, format!("a place of one machine: {place}")));
        }
    }
    found
}

/// Links within the repository that lead nowhere. `exists` tells whether a path, relative to the
/// root, is there; `text_of` gives the text of a document.
pub fn links(
    file: &File,
    exists: impl Fn(&Path) -> bool,
    text_of: impl Fn(&Path) -> Option<String>,
) -> Vec<Finding> {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for (line, target) in targets(&file.text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path =
            if path.is_empty() { file.path.clone().into() } else { normal(&folder.join(path)) };
        let good = exists(&path)
            && (anchor.is_empty() || text_of(&path).is_some_and(|text| has_heading(&text, anchor)));
        if !good {
            found.push(Finding::at(&file.path, line, format!("a link leads nowhere: {target}")));
        }
    }
    found
}

/// The targets of links of the form `[text](target)` outside code blocks.
fn targets(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (line, text) in markdown.lines().enumerate() {
        if text.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for (at, _) in text.match_indices("](") {
            if let Some((target, _)) = text[at + 2..].split_once(')') {
                found.push((line, target));
            }
        }
    }
    found
}

/// Resolves `.` and `..` without looking at the file system.
fn normal(path: &Path) -> std::path::PathBuf {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(parts.pop()),
            std::path::Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts.iter().collect()
}

fn has_heading(markdown: &str, anchor: &str) -> bool {
    let slug = |heading: &str| {
        let kept = heading.trim().to_lowercase();
        let kept =
            kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    markdown
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| slug(line.trim_start_matches('#')) == anchor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "docs/a.md".into(), text: text.into() }
    }

    #[test]
    fn history_is_found_in_comments_only() {
        for bad in
            ["// since 2020-01-02", "// as of v1.2", "// see #12", "/* issue 7 */", "// formerly x"]
        {
            assert_eq!(history(&file(bad)).len(), 1, "{bad}");
        }
        for good in
            ["let v1.2 = \"2020-01-02\";", "// as Redis 7.2 does", "// #[test]", "// value12.5"]
        {
            assert!(history(&file(good)).is_empty(), "{good}");
        }
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(unfinished(&file(concat!("x // TO", "DO: y"))).len(), 1);
        assert_eq!(unfinished(&file(concat!("todo", "!()"))).len(), 1);
        assert!(unfinished(&file("SET key XXXL")).is_empty());
    }

    #[test]
    fn places_of_one_machine_are_found() {
        assert_eq!(places(&file(concat!("cd /ro", "ot/x"))).len(), 1);
        assert!(places(&file(concat!("the net/wo", "rk/ folder"))).is_empty());
    }

    #[test]
    fn links_must_lead_somewhere() {
        let exists = |path: &Path| path == Path::new("docs/b.md") || path == Path::new("c.md");
        let text = |_: &Path| Some("# A heading, with signs\n".to_owned());
        let good = "[b](b.md) [c](../c.md) [b](b.md#a-heading-with-signs) [w](https://x.org)\n```\n[n](n)\n```";
        assert!(links(&file(good), exists, text).is_empty());
        assert_eq!(links(&file("[x](x.md) [b](b.md#none)"), exists, text).len(), 2);
    }
}
