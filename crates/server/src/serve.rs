//! Serving: the engine is built, listens, runs, and ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kevy_rt::{
    Backend, BackendChoice, Handle, Pin, Runtime, RuntimeConfig, StartError, TcpBind, UnixBind,
};
use kevy_shard::{Shard, World, WorldOptions};

use crate::boot::Boot;
use crate::cli;
use crate::commands;
use crate::config::Config;
use crate::config::choices::IoBackend;
use crate::config::load::error_text;
use crate::engine::{Engine, Identity, Parts, ServerCommands, settings};
use crate::process::{ShutdownSignal, watch_signals};
use crate::stats::SAMPLE_MS;
use crate::ticks;

/// Looks for stores that another shard holds before work for them is left at their doors: some
/// 100 µs, the longest holding unless its thread has been suspended.
const PATIENCE: u32 = 400;

/// Why the server ends.
#[derive(Debug)]
pub enum Stop {
    /// A signal asked for it.
    Signal(ShutdownSignal),
    /// A client asked for it.
    Command,
    /// The shards have ended: all of them because they were asked to, or one has failed.
    Ended(io::Result<()>),
}

/// Serves until the server is asked to end.
pub fn run(mut boot: Boot) -> ExitCode {
    match serve(&mut boot) {
        Ok(()) => {
            boot.finish();
            ExitCode::SUCCESS
        }
        Err(reason) => {
            tracing::warn!("{reason}");
            boot.log.stop_writer();
            ExitCode::FAILURE
        }
    }
}

/// The error is the last line of the log.
fn serve(boot: &mut Boot) -> Result<(), String> {
    let (stop, stopped) = channel();
    let signals = stop.clone();
    let watching = watch_signals(boot.log.clone(), move |signal| {
        // Nobody listens once the server ends.
        let _ = signals.send(Stop::Signal(signal));
    });
    watching.map_err(|error| format!("Can't handle signals: {}", error_text(&error)))?;

    let table = commands::renamed_table(&boot.config.startup().renames)?;
    let world = World::new(WorldOptions {
        shards: boot.config.shards(1),
        settings: settings(&boot.config, true),
        commands: table.len(),
        ticks: Some(ticks::read),
        patience: PATIENCE,
        hook: None,
    });
    let runtime = bind(&boot.config, world.shards())?;
    let engine = engine(boot, &world, &runtime, stop.clone())?;
    let commands = Arc::new(ServerCommands { table, engine });
    for (shard, waker) in runtime.wakers().into_iter().enumerate() {
        world.set_waker(shard, waker);
    }
    boot.initialized();
    let shard = |index| Shard::new(index, Arc::clone(&world), Arc::clone(&commands));
    let shards = (0..world.shards()).map(shard).collect();
    let handle = runtime.start(shards).map_err(|error| error.to_string())?;
    commands.engine.note_startup();
    boot.ready(&listeners(&boot.config));
    attend(&commands.engine, handle, stop, &stopped)
}

fn engine(
    boot: &Boot,
    world: &Arc<World>,
    runtime: &Runtime,
    stop: Sender<Stop>,
) -> Result<Engine, String> {
    let identity = Identity::new(unix_ms(), boot.supervision)
        .map_err(|error| format!("Can't get random bytes: {}", error_text(&error)))?;
    Ok(Engine::new(Parts {
        config: boot.config.clone(),
        world: Arc::clone(world),
        control: runtime.control(),
        log: boot.log.clone(),
        identity,
        stop,
    }))
}

/// Takes samples until the shards have ended.
fn attend(
    engine: &Engine,
    handle: Handle,
    stop: Sender<Stop>,
    stopped: &Receiver<Stop>,
) -> Result<(), String> {
    let stopper = handle.stopper();
    let join = move || {
        // Nobody listens if the process ends otherwise.
        let _ = stop.send(Stop::Ended(handle.join()));
    };
    let joining = std::thread::Builder::new().name("join".into()).spawn(join);
    joining.map_err(|error| format!("Can't start a thread: {}", error_text(&error)))?;
    loop {
        match stopped.recv_timeout(Duration::from_millis(SAMPLE_MS)) {
            Err(RecvTimeoutError::Timeout) => engine.sample(unix_ms()),
            Ok(Stop::Signal(_) | Stop::Command) => {
                engine.world.stop();
                stopper.stop();
            }
            Ok(Stop::Ended(result)) => return result.map_err(|error| error.to_string()),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The kinds of sockets on which clients are served.
fn listeners(config: &Config) -> Vec<&'static str> {
    let tcp = (config.port() != 0 && !config.bind().is_empty()).then_some("tcp");
    let unix = (!config.unixsocket().is_empty()).then_some("unix");
    tcp.into_iter().chain(unix).collect()
}

fn bind(config: &Config, shards: usize) -> Result<Runtime, String> {
    if listeners(config).is_empty() {
        return Err("Configured to not listen anywhere, exiting.".into());
    }
    Runtime::bind(runtime_config(config)?, shards).map_err(|error| match error {
        StartError::Listen(error) => {
            tracing::warn!("Warning: Could not create server listening socket: {error}");
            format!("Failed listening on port {} (tcp), aborting.", config.port())
        }
        other => other.to_string(),
    })
}

fn runtime_config(config: &Config) -> Result<RuntimeConfig, String> {
    let unix = config.unixsocket();
    let permissions = config.unixsocketperm();
    Ok(RuntimeConfig {
        tcp: if config.port() == 0 { Vec::new() } else { addresses(config)? },
        unix: (!unix.is_empty()).then(|| UnixBind {
            path: cli::path(unix),
            permissions: (permissions != 0).then_some(permissions),
        }),
        backlog: u32::try_from(config.tcp_backlog()).unwrap_or(0),
        tcp_keepalive: config.tcp_keepalive(),
        backend: match config.io_backend() {
            IoBackend::Auto => BackendChoice::Auto,
            IoBackend::IoUring => BackendChoice::Forced(Backend::IoUring),
            IoBackend::Epoll => BackendChoice::Forced(Backend::Epoll),
        },
        pin: Pin::Auto,
        ..RuntimeConfig::default()
    })
}

fn addresses(config: &Config) -> Result<Vec<TcpBind>, String> {
    let port = config.port();
    let mut binds = Vec::new();
    for bind in config.bind() {
        match address(&bind.host, port) {
            Ok(address) => binds.push(TcpBind { address, optional: bind.optional }),
            Err(error) if bind.optional => {
                tracing::warn!("not listening on {}: {}", bind.host, error_text(&error));
            }
            Err(error) => {
                tracing::warn!("Could not resolve {}: {}", bind.host, error_text(&error));
                return Err(format!("Failed listening on port {port} (tcp), aborting."));
            }
        }
    }
    Ok(binds)
}

/// The address of a word of `bind`.
fn address(host: &str, port: u16) -> io::Result<SocketAddr> {
    match host {
        "*" => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "::*" => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        _ => match host.parse::<IpAddr>() {
            Ok(ip) => Ok((ip, port).into()),
            Err(_) => {
                let mut found = (host, port).to_socket_addrs()?;
                found.next().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_wildcards_addresses_or_names() {
        let of = |host| address(host, 7).unwrap().to_string();
        assert_eq!(of("*"), "0.0.0.0:7");
        assert_eq!(of("::*"), "[::]:7");
        assert_eq!(of("127.0.0.1"), "127.0.0.1:7");
        assert_eq!(of("::1"), "[::1]:7");
        assert!(["127.0.0.1:7", "[::1]:7"].contains(&of("localhost").as_str()));
    }
}
