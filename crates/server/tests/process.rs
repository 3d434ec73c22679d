//! The binary as scripts and service managers see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kevy-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A server in this directory that listens on a socket there only.
    fn server(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kevy"));
        command.args(["--port", "0", "--save", "", "--dir", self.0.to_str().unwrap()]);
        command.args(["--unixsocket", &self.path("socket")]).args(arguments);
        command.env_remove("NOTIFY_SOCKET").env_remove("UPSTART_JOB");
        command
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kevy")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Reads lines up to one that contains `end`.
fn lines_until(reader: &mut impl std::io::BufRead, end: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in reader.lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains(end) {
            return lines;
        }
    }
    panic!("no line with {end:?}: {lines:#?}")
}

#[test]
fn version_and_help() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("Redis server v=7.2.4 sha=00000000:0 "));
    assert!(text(&run(&["--help"]).stdout).starts_with("Usage: kevy "));
    assert_eq!(run(&["--test-memory", "10"]).status.code(), Some(1));
}

#[test]
fn bad_configuration_is_named_on_standard_error() {
    let scratch = Scratch::new("bad");
    let file = scratch.path("bad.conf");
    std::fs::write(&file, "port 1\nmaxmemory 5 apples\n").unwrap();
    for arguments in [vec![file.as_str()], vec!["--check-config", &file]] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            text(&output.stderr),
            format!(
                "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nReading the configuration file, \
                 at line 2\n>>> 'maxmemory 5 apples'\nwrong number of arguments\n(in {file}:2)\n"
            )
        );
    }
    let output = run(&[&file, "--dir", "/nonexistent"]);
    assert!(!output.status.success());
    let output = run(&["--dir", "/nonexistent"]);
    let error = text(&output.stderr);
    assert!(error.contains(">>> 'dir \"/nonexistent\"'\nNo such file or directory"), "{error}");
    let output = run(&["--logfile", "/nonexistent/log"]);
    assert!(text(&output.stderr).contains("Can't open the log file: No such file or directory"));
}

#[test]
fn good_configuration_is_checked() {
    let scratch = Scratch::new("good");
    let file = scratch.path("good.conf");
    std::fs::write(&file, "port 1\ntls-port 2\n").unwrap();
    let output = run(&[&file, "--check-config"]);
    assert!(output.status.success());
    let said = text(&output.stdout);
    assert!(said.contains("'tls-port'") && said.ends_with("Configuration is fine.\n"), "{said}");
}

#[test]
fn a_server_starts_and_ends_on_a_signal() {
    let scratch = Scratch::new("signal");
    let pidfile = scratch.path("pid");
    for end in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = scratch
            .server(&["--pidfile", &pidfile, "--always-show-logo", "yes"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = lines_until(&mut stdout, "Server initialized");
        let pid = child.id();
        assert!(lines.iter().any(|line| line.ends_with(&format!(" PID: {pid}"))), "{lines:#?}");
        assert_eq!(std::fs::read_to_string(&pidfile).unwrap(), format!("{pid}\n"));
        signal(&child, Signal::SIGHUP);
        signal(&child, end);
        lines_until(&mut stdout, "scheduling shutdown...");
        lines_until(&mut stdout, "ready to exit, bye bye...");
        assert!(child.wait().unwrap().success());
        assert!(!PathBuf::from(&pidfile).exists());
    }
}

#[test]
fn a_daemon_leaves_its_parent_and_logs_to_its_file() {
    let scratch = Scratch::new("daemon");
    let (pidfile, log) = (scratch.path("pid"), scratch.path("log"));
    // A pipe in the place of the file tells when a line is written.
    nix::unistd::mkfifo(log.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe: File = OpenOptions::new().read(true).write(true).open(&log).unwrap();
    let mut command = scratch.server(&["--daemonize", "yes", "--pidfile", &pidfile]);
    let mut parent = command.args(["--logfile", &log]).stdout(Stdio::piped()).spawn().unwrap();
    assert!(parent.wait().unwrap().success());
    let mut said = String::new();
    parent.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");

    let mut log = BufReader::new(pipe);
    lines_until(&mut log, "Server initialized");
    let pid = std::fs::read_to_string(&pidfile).unwrap();
    let pid: i32 = pid.trim().parse().unwrap();
    assert_ne!(u32::try_from(pid).unwrap(), parent.id());
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    lines_until(&mut log, "ready to exit, bye bye...");
}

#[test]
fn systemd_is_told_when_the_server_is_ready() {
    let scratch = Scratch::new("systemd");
    let address = scratch.path("notify");
    let socket = UnixDatagram::bind(&address).unwrap();
    let mut command = scratch.server(&["--supervised", "auto", "--daemonize", "yes"]);
    let command = command.env("NOTIFY_SOCKET", &address).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let wait_for = |state: &str| {
        let mut buffer = [0; 512];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            if text(&buffer[..length]).lines().any(|line| line == state) {
                break;
            }
        }
    };
    wait_for("READY=1");
    signal(&child, Signal::SIGTERM);
    wait_for("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn configuration_is_read_from_standard_input() {
    let scratch = Scratch::new("stdin");
    let file = File::create(scratch.path("c")).unwrap();
    std::fs::write(scratch.path("c"), "\n\nport nine\n").unwrap();
    drop(file);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kevy"));
    let output = command.arg("-").stdin(File::open(scratch.path("c")).unwrap()).output().unwrap();
    assert!(text(&output.stderr).contains("(in standard input:3)"));
}
