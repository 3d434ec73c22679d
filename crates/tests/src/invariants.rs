//! Concurrent clients and a statement that must hold at every moment.

use crate::client::Client;
use crate::value::Value;
use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What one client does again and again until the time is over; it is given the number of the
/// round.
type Turn = Box<dyn FnMut(&mut Client, u64) -> Result<()> + Send>;

/// A statement about a server and the clients that try to break it.
pub struct Invariant {
    /// What must hold.
    pub name: &'static str,
    /// Commands that come first.
    prepare: &'static [&'static str],
    clients: fn(seed: u64) -> Vec<Turn>,
}

/// All statements.
pub const INVARIANTS: &[Invariant] = &[
    Invariant { name: "MSET is seen whole or not at all", prepare: &[], clients: whole_msets },
    Invariant { name: "EXEC is seen whole or not at all", prepare: &[], clients: whole_execs },
    Invariant {
        name: "transfers in EXEC keep the sum",
        prepare: &["MSET acc:0 100 acc:1 100 acc:2 100 acc:3 100 acc:4 100 acc:5 100"],
        clients: transfers,
    },
    Invariant {
        name: "optimistic transfers keep the sum",
        prepare: &["MSET acc:0 100 acc:1 100 acc:2 100 acc:3 100 acc:4 100 acc:5 100"],
        clients: optimistic_transfers,
    },
    Invariant {
        name: "WATCH prevents write skew",
        prepare: &["MSET skew:a 1 skew:b 1"],
        clients: write_skew,
    },
    Invariant {
        name: "RENAME never shows two keys or none",
        prepare: &["SET name:0 x"],
        clients: renames,
    },
    Invariant { name: "FLUSHALL empties everything at once", prepare: &[], clients: flushes },
    Invariant {
        name: "SWAPDB swaps everything at once",
        prepare: &[
            "MSET swap:a 0 swap:b 0 swap:c 0",
            "SELECT 1",
            "MSET swap:a 1 swap:b 1 swap:c 1",
            "SELECT 0",
        ],
        clients: swaps,
    },
    Invariant {
        name: "a pipeline's later write is never seen without its earlier one",
        prepare: &["MSET first 0 second 0 third 0"],
        clients: ordered_writes,
    },
    Invariant { name: "INCR loses nothing", prepare: &[], clients: counters },
];

impl Invariant {
    /// Runs the clients for `duration`; the first to see the statement broken fails.
    pub fn hold(&self, address: SocketAddr, duration: Duration, seed: u64) -> Result<u64> {
        let mut client = Client::connect(address)?;
        client.words("FLUSHALL")?;
        for command in self.prepare {
            let reply = client.words(command)?;
            ensure!(reply.is_ok(), "{command} was answered by {reply:?}");
        }
        let deadline = Instant::now() + duration;
        let turns = std::thread::scope(|scope| {
            let clients: Vec<_> = (self.clients)(seed)
                .into_iter()
                .map(|mut turn| {
                    scope.spawn(move || -> Result<u64> {
                        let mut client = Client::connect(address)?;
                        let mut number = 0;
                        while Instant::now() < deadline {
                            number += 1;
                            turn(&mut client, number)?;
                        }
                        Ok(number)
                    })
                })
                .collect();
            clients
                .into_iter()
                .map(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
                .collect::<Result<Vec<u64>>>()
        });
        Ok(turns.with_context(|| format!("{} (seed {seed})", self.name))?.iter().sum())
    }
}

const ACCOUNTS: u32 = 6;

fn rng(seed: u64, client: u64) -> StdRng {
    StdRng::seed_from_u64(seed ^ client << 32)
}

fn turn(turn: impl FnMut(&mut Client, u64) -> Result<()> + Send + 'static) -> Turn {
    Box::new(turn)
}

fn expect_ok(reply: &Value) -> Result<()> {
    ensure!(reply.is_ok(), "instead of OK: {reply:?}");
    Ok(())
}

/// Runs commands as one transaction, sent in one write; returns the reply of EXEC.
fn exec(client: &mut Client, commands: &[String]) -> Result<Value> {
    let mut all = vec![vec!["MULTI"]];
    all.extend(commands.iter().map(|command| command.split(' ').collect()));
    all.push(vec!["EXEC"]);
    client.pipeline(&all)?.pop().context("EXEC has a reply")
}

/// Fails unless all elements are alike.
fn all_alike(reply: &Value) -> Result<()> {
    let items = reply.items().with_context(|| format!("no array: {reply:?}"))?;
    ensure!(items.windows(2).all(|pair| pair[0] == pair[1]), "seen in part: {reply:?}");
    Ok(())
}

fn whole_msets(_seed: u64) -> Vec<Turn> {
    let writer = |id: u64| {
        turn(move |client, number| {
            let value = format!("{id}-{number}");
            expect_ok(
                &client.words(&format!("MSET w:a {value} w:b {value} w:c {value} w:d {value}"))?,
            )
        })
    };
    let reader = || turn(|client, _| all_alike(&client.words("MGET w:d w:b w:a w:c")?));
    vec![writer(1), writer(2), reader(), reader()]
}

fn whole_execs(_seed: u64) -> Vec<Turn> {
    let writer = |id: u64| {
        turn(move |client, number| {
            let sets = ["w:a", "w:b", "w:c", "w:d"].map(|key| format!("SET {key} {id}-{number}"));
            all_alike(&exec(client, &sets)?)
        })
    };
    let reader = || {
        turn(|client, _| {
            all_alike(&exec(client, &["w:c", "w:a", "w:d", "w:b"].map(|key| format!("GET {key}")))?)
        })
    };
    let glance = turn(|client, _| all_alike(&client.words("MGET w:d w:b w:a w:c")?));
    vec![writer(1), writer(2), reader(), glance]
}

/// Reads all accounts in one of two ways and fails unless their sum is what it was.
fn audit() -> Turn {
    turn(|client, number| {
        let names: Vec<String> = (0..ACCOUNTS).map(|account| format!("acc:{account}")).collect();
        let reply = if number.is_multiple_of(2) {
            client.words(&format!("MGET {}", names.join(" ")))?
        } else {
            exec(client, &names.iter().map(|name| format!("GET {name}")).collect::<Vec<_>>())?
        };
        let balances =
            reply.items().context("balances")?.iter().map(|value| value.text().parse::<i64>());
        let sum: i64 = balances.collect::<Result<Vec<_>, _>>()?.iter().sum();
        ensure!(sum == 100 * i64::from(ACCOUNTS), "the sum is {sum}: {reply:?}");
        Ok(())
    })
}

fn transfers(seed: u64) -> Vec<Turn> {
    let teller = |id: u64| {
        let mut rng = rng(seed, id);
        turn(move |client, _| {
            let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
            let amount = rng.random_range(1..50);
            let commands =
                [format!("DECRBY acc:{from} {amount}"), format!("INCRBY acc:{to} {amount}")];
            ensure!(exec(client, &commands)?.items().is_some_and(|replies| replies.len() == 2));
            Ok(())
        })
    };
    vec![teller(1), teller(2), teller(3), audit()]
}

fn optimistic_transfers(seed: u64) -> Vec<Turn> {
    let teller = |id: u64| {
        let mut rng = rng(seed, id);
        turn(move |client, _| {
            let from = rng.random_range(0..ACCOUNTS);
            let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
            expect_ok(&client.words(&format!("WATCH acc:{from} acc:{to}"))?)?;
            let balance = |reply: Value| Ok::<i64, anyhow::Error>(reply.text().parse()?);
            let has = balance(client.words(&format!("GET acc:{from}"))?)?;
            let gets = balance(client.words(&format!("GET acc:{to}"))?)?;
            let commands =
                [format!("SET acc:{from} {}", has - 7), format!("SET acc:{to} {}", gets + 7)];
            exec(client, &commands)?;
            Ok(())
        })
    };
    vec![teller(1), teller(2), teller(3), audit()]
}

/// Each of two clients takes its own unit only if the other's is still there: at most one may.
fn write_skew(_seed: u64) -> Vec<Turn> {
    let taker = |mine: &'static str, other: &'static str| {
        turn(move |client, _| {
            expect_ok(&client.words(&format!("WATCH {other}"))?)?;
            if client.words(&format!("GET {other}"))?.text() == "1" {
                exec(client, &[format!("SET {mine} 0")])?;
            } else {
                client.words("UNWATCH")?;
            }
            Ok(())
        })
    };
    let referee = turn(|client, _| {
        let reply = client.words("MGET skew:a skew:b")?;
        let left =
            reply.items().context("MGET")?.iter().filter(|value| value.text() == "1").count();
        ensure!(left > 0, "both were taken");
        expect_ok(&client.words("MSET skew:a 1 skew:b 1")?)
    });
    vec![taker("skew:a", "skew:b"), taker("skew:b", "skew:a"), referee]
}

fn renames(seed: u64) -> Vec<Turn> {
    const NAMES: u32 = 5;
    let renamer = |id: u64| {
        let mut rng = rng(seed, id);
        turn(move |client, _| {
            let (from, to) = (rng.random_range(0..NAMES), rng.random_range(0..NAMES));
            // Usually there is no such key.
            client.words(&format!("RENAME name:{from} name:{to}"))?;
            Ok(())
        })
    };
    let observer = || {
        turn(|client, _| {
            let seen = client.words("EXISTS name:0 name:1 name:2 name:3 name:4")?;
            ensure!(seen.integer() == Some(1), "{seen:?} names at once");
            Ok(())
        })
    };
    vec![renamer(1), renamer(2), renamer(3), observer()]
}

fn flushes(_seed: u64) -> Vec<Turn> {
    let writer = turn(|client, number| {
        expect_ok(
            &client.words(&format!("MSET f:a {number} f:b {number} f:c {number} f:d {number}"))?,
        )
    });
    let flusher = |command: &'static str| turn(move |client, _| expect_ok(&client.words(command)?));
    let reader = || turn(|client, _| all_alike(&client.words("MGET f:d f:b f:a f:c")?));
    vec![writer, flusher("FLUSHALL"), flusher("FLUSHDB ASYNC"), reader(), reader()]
}

fn swaps(_seed: u64) -> Vec<Turn> {
    let swapper = || turn(|client, _| expect_ok(&client.words("SWAPDB 0 1")?));
    let reader = || turn(|client, _| all_alike(&client.words("MGET swap:a swap:b swap:c")?));
    vec![swapper(), reader(), reader()]
}

/// One client writes three keys in order, many times in each pipeline; nobody may see a later
/// write without the earlier ones.
fn ordered_writes(_seed: u64) -> Vec<Turn> {
    const DEPTH: u64 = 12;
    let writer = turn(|client, number| {
        let mut commands = Vec::new();
        for step in 0..DEPTH {
            let value = (number * DEPTH + step).to_string();
            for key in ["first", "second", "third"] {
                commands.push(["SET".to_owned(), key.to_owned(), value.clone()]);
            }
        }
        client.pipeline(&commands)?.iter().try_for_each(expect_ok)
    });
    let at_once = || {
        turn(|client, _| {
            let reply = client.words("MGET third second first")?;
            let values =
                reply.items().context("MGET")?.iter().map(|value| value.text().parse::<u64>());
            let values = values.collect::<Result<Vec<_>, _>>()?;
            ensure!(values.is_sorted(), "third, second, first are {values:?}");
            Ok(())
        })
    };
    let one_by_one = turn(|client, _| {
        let mut last = 0;
        for key in ["third", "second", "first"] {
            let value = client.words(&format!("GET {key}"))?.text().parse::<u64>()?;
            ensure!(value >= last, "{key} is {value} after a later key was {last}");
            last = value;
        }
        Ok(())
    });
    vec![writer, at_once(), at_once(), one_by_one]
}

/// Each client counts in a key of its own and in a common one; its own must be exact, the common
/// one must grow by at least as much.
fn counters(_seed: u64) -> Vec<Turn> {
    let counter = |id: u64| {
        let mut last_common = 0;
        turn(move |client, number| {
            let own = format!("INCR own:{id}");
            let replies =
                client.pipeline(&[own.split(' ').collect::<Vec<_>>(), vec!["INCR", "common"]])?;
            ensure!(replies[0].integer() == i64::try_from(number).ok(), "own count: {replies:?}");
            let common = replies[1].integer().context("INCR")?;
            ensure!(common > last_common, "the common count went from {last_common} to {common}");
            last_common = common;
            Ok(())
        })
    };
    vec![counter(1), counter(2), counter(3), counter(4)]
}
