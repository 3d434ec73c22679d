//! The files under version control.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the repository with its text.
pub struct File {
    /// Path relative to the root, with `/` between its parts.
    pub path: String,
    /// The contents; files that are not UTF-8 are not listed.
    pub text: String,
}

impl File {
    /// Whether the name ends in `.` and `extension`.
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// The folder below `crates/` that the file is in.
    pub fn crate_folder(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// All text files under version control that are in the work tree.
pub fn files() -> Result<Vec<File>> {
    let listing = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listing = listing.context("git lists the files")?;
    ensure!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout)?;
    let read = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    };
    Ok(names.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect())
}
