//! Conditions on strings that single directives pose; the errors are the reasons that users read.

use std::net::{Ipv4Addr, Ipv6Addr};

type Checked = Result<(), &'static str>;

fn require(holds: bool, reason: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(reason) }
}

/// Whether a name has no directory part.
fn is_base_name(name: &[u8]) -> bool {
    !name.contains(&b'/') && !name.contains(&b'\\')
}

pub(super) fn dir(path: &[u8]) -> Checked {
    require(!path.is_empty(), "dir can't be empty")
}

pub(super) fn dbfilename(name: &[u8]) -> Checked {
    require(!name.is_empty(), "dbfilename can't be empty")?;
    require(is_base_name(name), "dbfilename can't be a path, just a filename")
}

pub(super) fn appendfilename(name: &[u8]) -> Checked {
    require(!name.is_empty(), "appendfilename can't be empty")?;
    require(is_base_name(name), "appendfilename can't be a path, just a filename")
}

pub(super) fn appenddirname(name: &[u8]) -> Checked {
    require(!name.is_empty(), "appenddirname can't be empty")?;
    require(is_base_name(name), "appenddirname can't be a path, just a dirname")
}

pub(super) fn cluster_config_file(name: &[u8]) -> Checked {
    require(!name.is_empty(), "cluster-config-file can't be empty")
}

pub(super) fn hostname(name: &[u8]) -> Checked {
    require(name.len() < 256, "Hostnames must be less than 256 characters")?;
    let fine = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    require(fine, "Hostnames may only contain alphanumeric characters, hyphens or dots")
}

/// Printable ASCII without the characters that structure cluster configuration lines.
pub(super) fn nodename(name: &[u8]) -> Checked {
    let fine = name
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !b"!#$%&()*+:;<>?@[]^{|}~=,\"'`/\\".contains(byte));
    require(fine, "Announced human node name contained invalid character")
}

pub(super) fn ipv4(address: &[u8]) -> Checked {
    let fine =
        str::from_utf8(address).is_ok_and(|it| it.is_empty() || it.parse::<Ipv4Addr>().is_ok());
    require(fine, "Invalid IPv4 address")
}

pub(super) fn ipv6(address: &[u8]) -> Checked {
    let fine =
        str::from_utf8(address).is_ok_and(|it| it.is_empty() || it.parse::<Ipv6Addr>().is_ok());
    require(fine, "Invalid IPv6 address")
}

/// A template whose `{…}` are all known variables.
pub(super) fn proc_title(template: &[u8]) -> Checked {
    const VARIABLES: [&[u8]; 7] = [
        b"title",
        b"listen-addr",
        b"server-mode",
        b"port",
        b"tls-port",
        b"unixsocket",
        b"config-file",
    ];
    let mut rest = template;
    while let Some(open) = rest.iter().position(|&byte| byte == b'{') {
        let after = &rest[open + 1..];
        let close = after.iter().position(|&byte| byte == b'}');
        let known = close.is_some_and(|close| VARIABLES.contains(&&after[..close]));
        require(known, "template format is invalid or contains unknown variables")?;
        rest = &after[close.unwrap_or(0) + 1..];
    }
    Ok(())
}

/// Three numbers separated by dots.
pub(super) fn version(text: &[u8]) -> Checked {
    let parts: Vec<&[u8]> = text.split(|&byte| byte == b'.').collect();
    let number =
        |part: &&[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    require(
        parts.len() == 3 && parts.iter().all(number),
        "argument must be a version such as 7.2.4",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        assert!(dbfilename(b"a.rdb").is_ok() && dbfilename(b"a/b").is_err());
        assert!(hostname(b"").is_ok() && hostname(b"a.b-c").is_ok() && hostname(b"a_b").is_err());
        assert!(ipv4(b"").is_ok() && ipv4(b"10.0.0.1").is_ok() && ipv4(b"::1").is_err());
        assert!(ipv6(b"::1").is_ok() && ipv6(b"10.0.0.1").is_err());
        assert!(proc_title(b"{title} {port}x").is_ok() && proc_title(b"--x").is_ok());
        assert!(proc_title(b"{x}").is_err() && proc_title(b"{title").is_err());
        assert!(
            version(b"7.2.4").is_ok() && version(b"7.2").is_err() && version(b"7.2.x").is_err()
        );
    }
}
