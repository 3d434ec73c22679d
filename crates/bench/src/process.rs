//! What the kernel knows of a process: CPU time, memory; and where threads may run.

use anyhow::{Context, Result};
use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};
use std::fs;

/// CPU time that all threads of a process have used, in nanoseconds.
///
/// Threads that have ended are not counted, so servers that start threads for each task look
/// cheaper than they are by what those used.
///
/// # Errors
/// There is no such process.
pub fn cpu_ns(pid: u32) -> Result<u64> {
    let tasks = format!("/proc/{pid}/task");
    let mut total = 0;
    for task in fs::read_dir(&tasks).with_context(|| format!("no process {pid}"))? {
        // A thread may end between the listing and the reading.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            total += first_number(&text).unwrap_or(0);
        }
    }
    Ok(total)
}

/// CPU time that this process has used, in nanoseconds.
pub fn own_cpu_ns() -> u64 {
    clock_ns(ClockId::ProcessCPUTime)
}

/// CPU time that this thread has used, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    clock_ns(ClockId::ThreadCPUTime)
}

fn clock_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// There is no such process.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(path).with_context(|| format!("no process {pid}"))?;
    let kib = text.lines().find_map(|line| first_number(line.strip_prefix("Rss:")?));
    Ok(kib.context("smaps_rollup without Rss")? * 1024)
}

/// Lets the calling thread, and the processes it starts, run only on these cores.
///
/// # Errors
/// The machine has no such core or does not allow it.
pub fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    rustix::thread::sched_setaffinity(None, &set)
        .with_context(|| format!("cannot pin to {cores:?}"))
}

/// The cores on which the calling thread may run.
///
/// # Errors
/// The system refuses to tell.
pub fn allowed_cores() -> Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Allows this process as many open files as it may have, and returns that number.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_process() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100 * 1024);
        assert!(cpu_ns(pid).is_ok());
        assert!(own_cpu_ns() >= thread_cpu_ns());
        assert!(!allowed_cores().unwrap().is_empty());
    }

    #[test]
    fn a_missing_process_is_an_error() {
        assert!(cpu_ns(u32::MAX).is_err());
        assert!(resident_bytes(u32::MAX).is_err());
    }
}
