//! Starting and stopping the servers of a comparison.

use crate::client::{Client, Greeting, Target};
use crate::process;
use crate::template::split_words;
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The longest that a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How to start a server: a name for tables and a command line with `{port}`, `{shards}` (threads
/// that serve), `{value}` (size of the values of the scenario) and `{dir}` (an empty directory).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Name in tables.
    pub name: String,
    /// Command line.
    pub command: String,
    /// Processes that share the connections of a load.
    pub instances: usize,
}

impl Recipe {
    /// A single process.
    pub fn new(name: &str, command: &str) -> Self {
        Self { name: name.to_owned(), command: command.to_owned(), instances: 1 }
    }

    /// The first word of the command line.
    pub fn program(&self) -> Option<String> {
        split_words(&self.command).ok()?.into_iter().next()
    }
}

impl FromStr for Recipe {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && command.contains("{port}") => {
                Ok(Self::new(name, command))
            }
            _ => bail!("a server is given as name=command line with {{port}}, not '{text}'"),
        }
    }
}

/// What a recipe leaves open.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Threads that serve, for each process.
    pub shards: usize,
    /// Bytes of a value.
    pub value_size: usize,
    /// Cores to run on; anywhere if empty.
    pub cores: Vec<usize>,
}

/// A server that runs, possibly as several processes. Ends with the value.
pub struct Running {
    /// Name in tables.
    pub name: String,
    processes: Vec<Process>,
}

impl Running {
    /// Starts the processes of a recipe and waits until they answer.
    ///
    /// # Errors
    /// The program cannot be started, ends at once or does not answer.
    pub fn start(recipe: &Recipe, setting: &Setting) -> Result<Self> {
        let processes = (0..recipe.instances)
            .map(|_| Process::start(&recipe.command, setting))
            .collect::<Result<Vec<_>>>()
            .with_context(|| format!("cannot start {}", recipe.name))?;
        Ok(Self { name: recipe.name.clone(), processes })
    }

    /// Where the processes listen.
    pub fn targets(&self) -> Vec<Target> {
        self.processes.iter().map(|process| Target::local(process.port)).collect()
    }

    /// Their process ids.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.child.id()).collect()
    }

    /// Resident memory of all processes in bytes.
    ///
    /// # Errors
    /// A process has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.pids().into_iter().map(process::resident_bytes).sum()
    }

    /// CPU time of all processes in nanoseconds.
    ///
    /// # Errors
    /// A process has ended.
    pub fn cpu_ns(&self) -> Result<u64> {
        self.pids().into_iter().map(process::cpu_ns).sum()
    }

    /// The longest time that a process took from its start to its first answer.
    pub fn ready_after(&self) -> Duration {
        self.processes.iter().map(|process| process.ready_after).max().unwrap_or_default()
    }

    /// Sends the same command to all processes.
    ///
    /// # Errors
    /// A process does not answer, or answers with an error.
    pub fn command(&self, words: &[&str]) -> Result<()> {
        for target in self.targets() {
            Client::connect(&target, &Greeting::default())?.command(words)?;
        }
        Ok(())
    }
}

struct Process {
    child: Child,
    port: u16,
    directory: PathBuf,
    ready_after: Duration,
}

impl Process {
    fn start(template: &str, setting: &Setting) -> Result<Self> {
        let port = free_port()?;
        let directory =
            std::env::temp_dir().join(format!("kevy-bench-{}-{port}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let command = template
            .replace("{port}", &port.to_string())
            .replace("{shards}", &setting.shards.to_string())
            .replace("{value}", &setting.value_size.to_string())
            .replace("{dir}", &directory.to_string_lossy());
        let words = split_words(&command)?;
        let started = Instant::now();
        let child = spawn(&words, &directory, &setting.cores)?;
        let mut process = Self { child, port, directory, ready_after: Duration::ZERO };
        process.wait_until_ready(started)?;
        Ok(process)
    }

    fn wait_until_ready(&mut self, started: Instant) -> Result<()> {
        let target = Target::local(self.port);
        loop {
            let limit = Duration::from_millis(100);
            match Client::wait_for(&target, &Greeting::default(), limit) {
                Ok(_) => break,
                Err(error) if started.elapsed() > START_LIMIT => return Err(error),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended at once with {status}: {}", self.last_words());
            }
        }
        self.ready_after = started.elapsed();
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.directory.join("output")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is to be saved, and errors only say that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A child inherits the cores of the thread that starts it, so a thread of its own does.
fn spawn(words: &[String], directory: &PathBuf, cores: &[usize]) -> Result<Child> {
    let (program, arguments) = words.split_first().context("an empty command line")?;
    let output = fs::File::create(directory.join("output"))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    command.stderr(output.try_clone()?).stdout(output);
    std::thread::scope(|scope| {
        let starter = scope.spawn(|| -> Result<Child> {
            if !cores.is_empty() {
                process::pin(cores)?;
            }
            command.spawn().with_context(|| format!("cannot run {program}"))
        });
        starter.join().map_err(|_| anyhow!("starting {program} panicked"))?
    })
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_need_a_name_and_a_port() {
        let recipe: Recipe = "valkey=valkey-server --port {port}".parse().unwrap();
        assert_eq!(recipe.name, "valkey");
        assert_eq!(recipe.program().unwrap(), "valkey-server");
        for wrong in ["valkey-server --port {port}", "x=valkey-server", "=a {port}"] {
            assert!(wrong.parse::<Recipe>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_program_that_ends_at_once_is_reported_with_its_output() {
        let recipe = Recipe::new("broken", "sh -c 'echo no port {port} for me; exit 3'");
        let error = Running::start(&recipe, &Setting::default()).err().unwrap();
        let text = format!("{error:#}");
        assert!(text.contains("broken") && text.contains("for me"), "{text}");
    }
}
