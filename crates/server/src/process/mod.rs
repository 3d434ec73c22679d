//! The process and its surroundings: daemon, process id file, limits, signals, supervision.
//!
//! No `unsafe` is needed: forking is `daemon(3)` through `nix`, which is safe because it is called
//! before any thread is started, and signals arrive on a thread of `signal-hook`.

use std::io;
use std::path::{Path, PathBuf};

mod limits;
mod signals;
mod supervise;

pub use limits::{OpenFiles, raise_open_files};
pub use signals::{ShutdownSignal, watch_signals};
pub use supervise::Supervision;

/// Moves the process to the background: the parent ends, the child leads a session of its own, and
/// its standard streams are `/dev/null`. The working directory stays.
///
/// # Errors
/// If the process cannot fork.
pub fn daemonize() -> io::Result<()> {
    let (keep_directory, keep_streams) = (true, false);
    nix::unistd::daemon(keep_directory, keep_streams).map_err(Into::into)
}

/// Has the kernel give the process small pages only, also where huge ones are the rule. These would
/// make an idle server several times larger, and commit 2 MiB for the first byte of a large value;
/// with a hundred thousand keys they gain nothing. The allocator does not ask for them either.
///
/// # Errors
/// If the kernel refuses; nothing depends on it.
pub fn disable_huge_pages() -> io::Result<()> {
    nix::sys::prctl::set_thp_disable(true).map_err(Into::into)
}

/// Changes the working directory and returns it as an absolute path.
///
/// # Errors
/// If it is not a directory that can be entered.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn enter_directory(path: &Path) -> io::Result<PathBuf> {
    std::env::set_current_dir(path)?;
    std::env::current_dir()
}

/// A file that holds the process id, removed when the server ends.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        std::fs::write(&path, format!("{}\n", std::process::id()))?;
        Ok(Self(path))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(self.0)
    }
}

/// The warning about a kernel limit that caps `tcp-backlog`, if it does.
pub fn backlog_warning(backlog: i32) -> Option<String> {
    let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?;
    let limit: i32 = limit.trim().parse().ok()?;
    (0 < limit && limit < backlog).then(|| {
        format!(
            "WARNING: The TCP backlog setting of {backlog} cannot be enforced because \
             /proc/sys/net/core/somaxconn is set to the lower value of {limit}."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_files_hold_the_id_and_go_away() {
        let path = std::env::temp_dir().join(format!("kevy-pid-{}", std::process::id()));
        let file = PidFile::write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        file.remove().unwrap();
        assert!(!path.exists());
        assert!(PidFile::write(Path::new("/nonexistent/kevy.pid")).is_err());
    }

    #[test]
    fn backlogs_within_the_limit_need_no_warning() {
        assert_eq!(backlog_warning(1), None);
    }
}
