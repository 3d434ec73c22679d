//! Applies the rules to the repository.

use anyhow::{Context, Result, bail};
use kevy_tidy::repository::{File, files, root};
use kevy_tidy::{Finding, code, manifests, text};
use std::path::Path;

/// Files over 1,000 lines and functions over 100, with their exact lengths. Entries only shrink.
const LONG: &[(&str, usize)] = &[];

fn none(findings: Vec<Finding>) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    bail!("{} findings:\n{}", lines.len(), lines.join("\n"));
}

fn each(matching: fn(&File) -> bool, rule: impl Fn(&File) -> Vec<Finding>) -> Result<()> {
    none(files()?.iter().filter(|file| matching(file)).flat_map(rule).collect())
}

fn is_rust(file: &File) -> bool {
    file.has_extension("rs")
}

fn is_manifest(file: &File) -> bool {
    file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/")
}

/// Files that people write: all but the lock file and licences.
fn is_written(file: &File) -> bool {
    !file.path.ends_with(".lock") && !file.path.starts_with("LICENSE")
}

#[test]
fn crates_depend_upwards_only() -> Result<()> {
    each(is_manifest, manifests::layers)
}

#[test]
fn manifests_are_complete() -> Result<()> {
    each(is_manifest, manifests::manifest)
}

#[test]
fn every_crate_has_its_own_lint_settings() -> Result<()> {
    each(is_manifest, |manifest| {
        let settings = manifest.path.replace("Cargo.toml", "clippy.toml");
        let there = root().join(&settings).is_file();
        let what = "is missing".to_owned();
        if there { Vec::new() } else { vec![Finding { file: settings, line: 0, what }] }
    })
}

#[test]
fn every_dependency_has_its_reason() -> Result<()> {
    let files = files()?;
    let find = |path: &str| {
        files.iter().find(|file| file.path == path).with_context(|| format!("{path} is missing"))
    };
    none(manifests::documented(find("Cargo.toml")?, find("docs/dependencies.md")?))
}

#[test]
fn unsafe_code_stays_where_it_is_allowed() -> Result<()> {
    each(is_rust, code::unsafe_code)
}

#[test]
fn silenced_lints_have_reasons_and_no_test_is_switched_off() -> Result<()> {
    each(is_rust, code::attributes)
}

#[test]
fn files_and_functions_do_not_grow_long() -> Result<()> {
    let files = files()?;
    let long: Vec<_> = files.iter().filter(|file| is_rust(file)).flat_map(code::too_long).collect();
    none(code::lengths(&long, LONG))
}

#[test]
fn comments_tell_no_history() -> Result<()> {
    each(is_rust, text::history)
}

#[test]
fn nothing_is_left_unfinished() -> Result<()> {
    each(is_written, text::unfinished)
}

#[test]
fn nothing_names_a_place_of_one_machine() -> Result<()> {
    each(is_written, text::places)
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    let exists = |path: &Path| root().join(path).exists();
    let read = |path: &Path| std::fs::read_to_string(root().join(path)).ok();
    each(|file| file.has_extension("md"), |file| text::links(file, exists, read))
}

#[test]
fn the_architecture_names_every_crate() -> Result<()> {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md"))
        .context("ARCHITECTURE.md is missing")?;
    each(is_manifest, |manifest| {
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        let short = folder.trim_start_matches("crates/");
        let named = [folder, short].iter().any(|name| architecture.contains(&format!("`{name}`")));
        let what = format!("`{short}` is not described in ARCHITECTURE.md");
        let finding = Finding { file: manifest.path.clone(), line: 0, what };
        if named { Vec::new() } else { vec![finding] }
    })
}
