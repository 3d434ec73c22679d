//! Installs what the tests need beyond the Rust toolchain: the oracle and its tools, client
//! libraries and cargo-deny. Each step is skipped where its result is already there.

use crate::process::{cargo, command, root, run, succeeds, without};
use anyhow::{Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A program that must answer, the Debian package that holds it, and the name by which
/// `KEVY_TEST_WITHOUT` leaves it out.
struct Tool {
    probe: &'static [&'static str],
    package: &'static str,
    name: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { probe: &["redis-server", "--version"], package: "redis-server", name: "redis-server" },
    Tool { probe: &["redis-cli", "--version"], package: "redis-tools", name: "redis-server" },
    Tool {
        probe: &["python3", "-m", "ensurepip", "--version"],
        package: "python3-venv",
        name: "redis-py",
    },
    Tool { probe: &["node", "--version"], package: "nodejs", name: "ioredis" },
    Tool { probe: &["npm", "--version"], package: "npm", name: "ioredis" },
];

/// Debian starts a service on installation unless this file says no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing.
pub(crate) fn run_all() -> Result<()> {
    let without = without();
    let wanted = |name: &str| !without.iter().any(|left_out| left_out == name);
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|tool| {
            wanted(tool.name) && !succeeds(&mut command(tool.probe[0], &tool.probe[1..]))
        })
        .map(|tool| tool.package)
        .collect();
    if !missing.is_empty() {
        install_packages(&missing)?;
    }
    if wanted("redis-py") {
        install_redis_py()?;
    }
    if wanted("ioredis") {
        install_ioredis()?;
    }
    install_cargo_deny()
}

/// Installs Debian packages without letting their services start.
fn install_packages(packages: &[&str]) -> Result<()> {
    ensure!(
        succeeds(&mut command("apt-get", &["--version"])),
        "install these with your system's package manager: {}",
        packages.join(" ")
    );
    let ours = !Path::new(POLICY).exists();
    if ours {
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
    }
    let installed = run(&mut command("apt-get", &["update", "-q"])).and_then(|()| {
        let mut install = apt(&["install", "-qy", "--no-install-recommends"]);
        run(install.args(packages))
    });
    if ours {
        fs::remove_file(POLICY)?;
    }
    if packages.contains(&"redis-server") {
        // Where the machine has a policy of its own, that may have allowed the start.
        succeeds(&mut command("service", &["redis-server", "stop"]));
    }
    installed
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = command("apt-get", arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn install_redis_py() -> Result<()> {
    let requirements = "crates/tests/assets/requirements.txt";
    let stamp = Path::new(".venv/requirements.txt");
    if fs::read(stamp).ok() == fs::read(requirements).ok() && stamp.exists() {
        return Ok(());
    }
    run(&mut command("python3", &["-m", "venv", ".venv"]))?;
    run(&mut command(
        root().join(".venv/bin/python"),
        &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements],
    ))?;
    fs::copy(requirements, stamp)?;
    Ok(())
}

fn install_ioredis() -> Result<()> {
    let manifest = "crates/tests/assets/package.json";
    let folder = Path::new("target/clients");
    let ours = folder.join("package.json");
    if fs::read(&ours).ok() == fs::read(manifest).ok() && folder.join("node_modules").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::copy(manifest, &ours)?;
    let mut install = command(
        "npm",
        &["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"],
    );
    run(install.current_dir(folder))
}

/// Built without optimisation: it runs once per check, and building it is what takes long.
fn install_cargo_deny() -> Result<()> {
    let ours = root().join("target/tools/bin/cargo-deny");
    if succeeds(&mut command(&ours, &["--version"])) || succeeds(&mut cargo(&["deny", "--version"]))
    {
        return Ok(());
    }
    let mut install = cargo(&[
        "install",
        "cargo-deny",
        "--locked",
        "--quiet",
        "--debug",
        "--root",
        "target/tools",
    ]);
    run(install.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TARGET_DIR", "target/tools/build"))?;
    fs::remove_dir_all("target/tools/build")?;
    Ok(())
}
