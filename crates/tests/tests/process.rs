//! The server as a process: how it starts, what it says when it cannot, how it ends.

use anyhow::{Context, Result, ensure};
use kevy_tests::client::encode;
use kevy_tests::environment::{Need, Program};
use kevy_tests::server::{Layout, Server, eventually, free_port, fresh_directory};
use kevy_tests::value::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

#[test]
fn sigterm_and_sigint_end_it_in_order() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[1, 4]) {
        for signal in ["TERM", "INT"] {
            let mut server = Server::start(&program, layout, &[])?;
            let mut client = server.client()?;
            client.words("SET a 1")?;
            server.signal(signal)?;
            ensure!(server.wait()?.success(), "{signal} with {layout:?}: {}", server.log());
            ensure!(client.read_to_end()?.is_empty(), "bytes that nobody asked for");
        }
    }
    Ok(())
}

#[test]
fn what_was_accepted_before_the_end_is_finished() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[1, 2]) {
        let mut server = Server::start(&program, layout, &[])?;
        let mut client = server.client()?;
        let mut frames = Vec::new();
        (0..20_000).for_each(|_| encode(&mut frames, &["INCR", "counter"]));
        client.send_raw(&frames)?;
        assert_eq!(client.read()?, Value::Integer(1));
        server.signal("TERM")?;
        let mut last = 1;
        while let Ok(reply) = client.read() {
            last += 1;
            assert_eq!(reply, Value::Integer(last), "replies end in the middle of nothing");
        }
        ensure!(server.wait()?.success());
    }
    Ok(())
}

#[test]
fn shutdown_ends_it_and_refuses_nonsense() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[1, 2]) {
        let mut server = Server::start(&program, layout, &[])?;
        let mut client = server.client()?;
        assert_eq!(client.words("SHUTDOWN NONSENSE")?.text(), "ERR syntax error");
        assert_eq!(client.words("SHUTDOWN SAVE NOSAVE")?.text(), "ERR syntax error");
        assert_eq!(client.words("SHUTDOWN ABORT")?.text(), "ERR No shutdown in progress.");
        let mut other = server.client()?;
        other.words("PING")?;
        client.send(&["SHUTDOWN", "NOSAVE"])?;
        ensure!(client.read_to_end()?.is_empty(), "SHUTDOWN has no reply");
        ensure!(other.read_to_end()?.is_empty());
        ensure!(server.wait()?.success(), "{}", server.log());
    }
    Ok(())
}

#[test]
fn other_signals_do_not_disturb_it() -> Result<()> {
    let mut server = Server::plain(&[])?;
    for signal in ["HUP", "PIPE", "STOP", "CONT"] {
        server.signal(signal)?;
    }
    server.ensure_alive()
}

#[test]
fn a_stopped_and_continued_server_still_expires_keys() -> Result<()> {
    let server = Server::plain(&[])?;
    let mut client = server.client()?;
    client.words("SET a 1 PX 200")?;
    server.signal("STOP")?;
    let started = Instant::now();
    client.send(&["GET", "b"])?;
    while started.elapsed() < Duration::from_millis(400) {
        std::thread::sleep(Duration::from_millis(20));
    }
    server.signal("CONT")?;
    assert_eq!(client.read()?, Value::Null);
    assert_eq!(client.words("GET a")?, Value::Null);
    Ok(())
}

/// Runs the server to its end; for starts that must fail.
fn run(program: &Program, directory: &Path, arguments: &[&str]) -> Result<Output> {
    let mut child = Command::new(&program.path)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("{arguments:?} started a server");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(child.wait_with_output()?)
}

#[test]
fn a_busy_port_is_an_error() -> Result<()> {
    let program = Program::under_test()?;
    let taken = TcpListener::bind(("127.0.0.1", free_port()?))?;
    let port = taken.local_addr()?.port().to_string();
    let directory = fresh_directory()?;
    let output = run(&program, &directory, &["--port", &port, "--bind", "127.0.0.1"])?;
    ensure!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains(&port) && text.contains("in use"), "{text}");
    ensure!(text.contains("Failed listening on port"), "{text}");
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// Configuration files that are wrong.
const WRONG: &[&str] = &[
    "maxclients 100\nno-such-directive 1\n",
    "\n\n# comment\nport\n",
    "port 99999\n",
    "port abc\n",
    "maxmemory 1zb\n",
    "appendonly maybe\n",
    "loglevel loud\n",
    "save 1\n",
    "save a b\n",
    "timeout -1\n",
    "bind \"127.0.0.1\n",
    "databases 0\n",
    "maxmemory-policy nothing\n",
    "hz 10 20\n",
];

#[test]
fn a_wrong_configuration_is_refused_with_file_line_and_reason() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    let directory = fresh_directory()?;
    for text in WRONG {
        fs::write(directory.join("wrong.conf"), text)?;
        let ours = run(&Program::under_test()?, &directory, &["wrong.conf"])?;
        let theirs = run(&Program::oracle()?, &directory, &["wrong.conf"])?;
        ensure!(ours.status.code() == Some(1), "{text:?}: {}", ours.status);
        let errors = |output: &Output| {
            let everything = [output.stderr.as_slice(), &output.stdout].concat();
            String::from_utf8_lossy(&everything).into_owned()
        };
        let (ours, theirs) = (errors(&ours), errors(&theirs));
        // The head names the version; each other line stands in our message too.
        for line in theirs.lines().filter(|line| !line.starts_with("***") && !line.starts_with('#'))
        {
            if line.contains("Redis is starting") || line.contains("Redis version") {
                break;
            }
            ensure!(ours.contains(line.trim_end()), "{text:?}: {line:?} is not in:\n{ours}");
        }
        if theirs.contains("FATAL CONFIG FILE ERROR") {
            ensure!(ours.contains("*** FATAL CONFIG FILE ERROR"), "{text:?}:\n{ours}");
        }
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}

#[test]
fn configuration_comes_from_file_and_command_line_and_the_latter_wins() -> Result<()> {
    let program = Program::under_test()?;
    let directory = fresh_directory()?;
    let file = directory.join("some.conf");
    fs::write(&file, "# a comment\nmaxclients 77\nslowlog-max-len 5\nhz 50\n")?;
    let port = free_port()?.to_string();
    let mut child = Command::new(&program.path)
        .arg(&file)
        .args(["--port", &port, "--hz", "20", "--save", ""])
        .current_dir(&directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let address = format!("127.0.0.1:{port}").parse()?;
    let asked = eventually("it answers", || {
        Ok(kevy_tests::client::Client::connect(address)
            .and_then(|mut client| client.words("PING"))
            .is_ok())
    })
    .and_then(|()| {
        let mut client = kevy_tests::client::Client::connect(address)?;
        let mut ask = |name: &str| -> Result<String> {
            let reply = client.words(&format!("CONFIG GET {name}"))?;
            let items = reply.items().context("CONFIG GET")?;
            Ok(items.get(1).map(Value::text).unwrap_or_default())
        };
        Ok([ask("maxclients")?, ask("slowlog-max-len")?, ask("hz")?, ask("save")?])
    });
    child.kill()?;
    child.wait()?;
    fs::remove_dir_all(directory)?;
    assert_eq!(asked?, ["77", "5", "20", ""]);
    Ok(())
}

#[test]
fn the_version_is_in_the_form_that_clients_parse() -> Result<()> {
    let program = Program::under_test()?;
    for option in ["--version", "-v"] {
        let output = Command::new(&program.path).arg(option).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && text.starts_with("Redis server v="), "{text}");
    }
    let help = Command::new(&program.path).arg("--help").output()?;
    let text = [help.stdout.as_slice(), &help.stderr].concat();
    ensure!(String::from_utf8_lossy(&text).contains("Usage: "), "no usage");
    Ok(())
}

#[test]
fn it_is_ready_soon_and_idle_when_idle() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[2]) {
        let server = Server::start(&program, layout, &[])?;
        let before = processor_ticks(server.pid())?;
        std::thread::sleep(Duration::from_secs(2));
        let used = processor_ticks(server.pid())? - before;
        // A tick is 10 ms; 2 % of a core leaves room for a busy machine.
        ensure!(used <= 4, "{used} ticks in 2 s with {layout:?}");
        let resident = server.resident()?;
        ensure!(resident < 32 << 20, "{resident} bytes resident with {layout:?}");
    }
    Ok(())
}

/// User and system time of a process so far, in clock ticks.
fn processor_ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("the name is in brackets")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next().context("too short").and_then(|text| Ok(text.parse::<u64>()?));
    Ok(next()? + next()?)
}
