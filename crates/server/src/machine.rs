//! What the system says of the process and the machine.

use std::fs;

/// Memory of the process, in bytes, as the system sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Resident.
    pub resident: u64,
    /// Resident and not backed by a file: heap and stacks.
    pub anonymous: u64,
}

impl ProcessMemory {
    /// As of now; zeros where the system does not say.
    #[must_use]
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { resident: kilobytes(&status, "VmRSS:"), anonymous: kilobytes(&status, "RssAnon:") }
    }
}

/// Memory of the machine, in bytes; 0 if the system does not say.
#[must_use]
pub fn total_memory() -> u64 {
    kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:")
}

/// The number behind `name`, which is in KiB, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_ascii_whitespace().next());
    number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Name, release and architecture of the system, as `uname` gives them.
#[must_use]
pub fn system_name() -> String {
    let word = |file: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{file}"));
        text.map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    format!("{} {} {}", word("ostype"), word("osrelease"), std::env::consts::ARCH)
}

/// 40 random hexadecimal digits, by which a run of the server is known.
///
/// # Errors
/// If the system gives no random bytes.
pub fn random_id() -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0; 20];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        let memory = ProcessMemory::read();
        assert!(memory.resident >= memory.anonymous && memory.anonymous > 0, "{memory:?}");
        assert!(total_memory() > memory.resident);
        assert!(system_name().starts_with("Linux "));
        let (one, other) = (random_id().unwrap(), random_id().unwrap());
        assert!(one.len() == 40 && one != other);
        assert_eq!(hex(&[0, 0xa5, 0xff]), "00a5ff");
    }
}
