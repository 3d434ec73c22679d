//! What the machine is that figures come from.

use std::fs;
use std::process::Command;

/// Facts about this machine, as name and value.
pub fn describe() -> Vec<(&'static str, String)> {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    vec![
        ("CPU", cpuinfo("model name").unwrap_or_else(|| "unknown".to_owned())),
        ("cores", cores.to_string()),
        ("memory", memory().unwrap_or_else(|| "unknown".to_owned())),
        ("kernel", format!("{} {}", text(uname.sysname()), text(uname.release()))),
        ("architecture", text(uname.machine())),
        ("load average before", first_word("/proc/loadavg").unwrap_or_default()),
    ]
}

/// First line of what `program --version` prints.
pub fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

fn cpuinfo(field: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(format!("{:.1} GiB", kib as f64 / f64::from(1 << 20)))
}

fn first_word(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()?.split_whitespace().next().map(str::to_owned)
}
