//! The load generator against the null server, as separate processes.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kevy_bench::client::{Client, Greeting, Target};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kevy-bench");

struct Null {
    child: Child,
    port: u16,
}

impl Null {
    fn start(options: &[&str]) -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new(PROGRAM)
            .args(["null", "--port", &port.to_string()])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let null = Self { child, port };
        let limit = Duration::from_secs(20);
        Client::wait_for(&Target::local(port), &Greeting::default(), limit).unwrap();
        null
    }

    fn load(&self, options: &[&str]) -> Value {
        let output = Command::new(PROGRAM)
            .args(["load", "--json", "--port", &self.port.to_string()])
            .args(["--server-pid", &self.child.id().to_string()])
            .args(options)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Null {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn every_operation_is_sent_and_answered() {
    for backend in ["auto", "epoll"] {
        let null = Null::start(&["--io-backend", backend]);
        for (options, name) in [
            (vec!["-n", "10000", "-P", "16", "-t", "get"], "pipelines"),
            (vec!["-n", "999", "-P", "16", "-t", "get=80,set=20", "--threads", "3"], "threads"),
            (vec!["-n", "500", "-c", "1", "-t", "mget=1,exec=1", "--width", "4"], "mixes"),
            (vec!["-n", "2000", "--rate", "50000", "-t", "set", "-P", "4"], "open loop"),
            (vec!["-n", "300", "-d", "100000", "-t", "set"], "large requests"),
        ] {
            let result = null.load(&options);
            let wanted: u64 = options[1].parse().unwrap();
            assert_eq!(result["operations"], wanted, "{backend}, {name}: {result}");
            assert_eq!(result["errors"], 0, "{backend}, {name}");
            assert!(result["latency_us"]["p50"].as_f64().unwrap() > 0.0, "{backend}, {name}");
            let cpu = &result["server_cpu_us_per_operation"];
            assert!(cpu.as_f64().is_some(), "{backend}, {name}: {result}");
        }
    }
}

#[test]
fn large_replies_arrive_whole() {
    let null = Null::start(&["--value-size", "100000", "--threads", "2"]);
    let result = null.load(&["-n", "2000", "-P", "4", "-t", "get"]);
    assert_eq!(result["operations"], 2000, "{result}");
}

/// A rate that the server can keep is kept, and no operation waits for another.
#[test]
fn an_open_loop_keeps_its_rate() {
    let null = Null::start(&[]);
    let result = null.load(&["-n", "1000", "--rate", "2000", "-c", "4", "-t", "get"]);
    let seconds = result["seconds"].as_f64().unwrap();
    assert!(seconds >= 0.49, "1,000 operations at 2,000 per second took {seconds} s");
}

#[test]
fn errors_of_the_command_line_are_reported() {
    for options in
        [&["-c", "0"][..], &["-t", "nonsense"], &["--rate", "0"], &["-n", "1", "--seconds", "1"]]
    {
        let output = Command::new(PROGRAM).arg("load").args(options).output().unwrap();
        assert!(!output.status.success(), "{options:?}");
    }
}
