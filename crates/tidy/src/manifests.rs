//! Rules about the crates' manifests.

use crate::Finding;
use crate::repository::File;

/// The crates from the lowest to the highest: each may depend on those before it only.
pub const LAYERS: &[&str] = &[
    "kevy-resp",
    "kevy-map",
    "kevy-data",
    "kevy-keyspace",
    "kevy-command",
    "kevy-persist",
    "kevy-shard",
    "kevy-uring",
    "kevy-rt",
    "kevy-sim",
    "kevy-script",
    "kevy-replicate",
    "kevy",
    "kevy-embedded",
    "kevy-bench",
    "kevy-tests",
    "kevy-tidy",
    "xtask",
];

/// A dependency as a manifest names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package.
    pub name: String,
    /// The line, counted from 0.
    pub line: usize,
    /// Whether only tests need it.
    pub dev: bool,
}

/// The dependencies of a manifest, or of the workspace in the root's.
pub fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = "";
    for (line, text) in manifest.lines().enumerate() {
        let text = text.trim();
        if let Some(head) = text.strip_prefix('[') {
            section = head.trim_end_matches(']');
            // `[dependencies.name]`
            if let Some((_, name)) = section.rsplit_once("dependencies.") {
                found.push(Dependency { name: name.into(), line, dev: section.contains("dev-") });
            }
            continue;
        }
        let name: String =
            text.chars().take_while(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect();
        if section.ends_with("dependencies") && !name.is_empty() && !text.starts_with('#') {
            found.push(Dependency { name, line, dev: section.contains("dev-") });
        }
    }
    found
}

/// The value of a plain text entry such as `name = "…"`.
pub fn entry<'a>(manifest: &'a str, key: &str) -> Option<&'a str> {
    let line =
        manifest.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))?;
    line.trim().strip_prefix('"')?.strip_suffix('"')
}

/// Dependencies that point downwards.
pub fn layers(manifest: &File) -> Vec<Finding> {
    let place = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let Some(own) = entry(&manifest.text, "name") else { return Vec::new() };
    let Some(height) = place(own) else {
        return vec![Finding::about(&manifest.path, format!("{own} has no place in the layers"))];
    };
    let mut found = Vec::new();
    for dependency in dependencies(&manifest.text) {
        let below = place(&dependency.name).is_none_or(|other| other < height);
        // What only serves tests may be used by the tests of every crate.
        let for_tests = ["kevy-sim", "kevy-tests"].contains(&dependency.name.as_str());
        if !(below || dependency.dev && for_tests) {
            let what = format!("{own} must not depend on {}", dependency.name);
            found.push(Finding::at(&manifest.path, dependency.line, what));
        }
    }
    found
}

/// What each crate's manifest must say.
pub fn manifest(manifest: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    let description = entry(&manifest.text, "description").unwrap_or_default();
    if description.len() < 20 {
        found.push(Finding::about(&manifest.path, "the description does not describe"));
    }
    if !manifest.text.contains("[lints]\nworkspace = true") {
        found.push(Finding::about(&manifest.path, "does not take the workspace's lints"));
    }
    found
}

/// Compares the workspace's foreign dependencies with the rows of `docs/dependencies.md`, each of
/// which begins with the name in a table's first column.
pub fn documented(workspace: &File, document: &File) -> Vec<Finding> {
    let foreign = |name: &str| !LAYERS.contains(&name);
    let names: Vec<String> =
        dependencies(&workspace.text).into_iter().map(|d| d.name).filter(|n| foreign(n)).collect();
    let rows: Vec<&str> = document
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let missing = names.iter().filter(|name| rows.iter().filter(|row| *row == name).count() != 1);
    let stale = rows.iter().filter(|row| !names.iter().any(|name| name == *row));
    missing
        .map(|name| Finding::about(&document.path, format!("`{name}` must have one row")))
        .chain(stale.map(|row| Finding::about(&document.path, format!("`{row}` is not used"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn dependencies_point_upwards() {
        let bad = file(
            "a",
            "[package]\nname = \"kevy-map\"\n\n[dependencies]\nkevy-rt.workspace = true\n",
        );
        assert_eq!(layers(&bad).len(), 1);
        let good = file(
            "a",
            "[package]\nname = \"kevy-rt\"\n[dependencies]\nlibc = \"1\"\nkevy-resp = { path = \"\" }\n\
             [dev-dependencies]\nkevy-sim.workspace = true\n",
        );
        assert!(layers(&good).is_empty());
        assert_eq!(layers(&file("a", "name = \"kevy-new\"\n")).len(), 1);
    }

    #[test]
    fn manifests_say_what_they_must() {
        assert_eq!(manifest(&file("a", "description = \"short\"\n")).len(), 2);
        let good = "description = \"Long enough to describe.\"\n[lints]\nworkspace = true\n";
        assert!(manifest(&file("a", good)).is_empty());
    }

    #[test]
    fn every_dependency_has_one_row() {
        let workspace =
            file("a", "[workspace.dependencies]\nkevy-map = \"1\"\nlibc = \"1\"\nrand = \"1\"\n");
        let document = |text: &str| file("b", text);
        assert!(documented(&workspace, &document("| `libc` | x |\n| `rand` | y |\n")).is_empty());
        assert_eq!(documented(&workspace, &document("| `libc` | x |\n| `gone` | y |\n")).len(), 2);
    }
}
