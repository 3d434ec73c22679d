//! What a load sends: named operations, free commands and mixes of them.

use crate::template::{Sheet, Template};
use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

/// The sheets of a mix hold about so many operations, so that the shares come out well.
const MIXED_OPERATIONS: usize = 1024;
/// The sheets of a mix together should stay in the second-level cache.
const MIXED_BYTES: usize = 1 << 20;

/// Sizes that the named operations are built with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes of a value.
    pub value_size: usize,
    /// Keys of one `MGET`, `MSET` or commands within one `EXEC`.
    pub width: usize,
}

/// Operations and how often each of them occurs.
#[derive(Clone, Debug)]
pub struct Workload {
    parts: Vec<(Template, u32)>,
}

impl Workload {
    /// A mix as the command line gives it: `get`, or with shares `get=80,set=20`.
    ///
    /// # Errors
    /// An unknown operation or a share that is not a number above zero.
    pub fn mix(text: &str, shape: Shape) -> Result<Self> {
        let mut parts = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').unwrap_or((part, "1"));
            let share: u32 = share.parse().with_context(|| format!("share of '{name}'"))?;
            if share == 0 {
                bail!("the share of '{name}' is zero");
            }
            parts.push((operation(name.trim(), shape)?, share));
        }
        Ok(Self { parts })
    }

    /// The same commands over and over, as one operation (see [`Template::parse`]).
    ///
    /// # Errors
    /// See [`Template::parse`].
    pub fn commands(commands: &[impl AsRef<str>], value_size: usize) -> Result<Self> {
        Ok(Self { parts: vec![(Template::parse(commands, value_size)?, 1)] })
    }

    /// Encodes the sheets of `pipeline` operations each that a thread sends in turn. Over all
    /// sheets each operation has its share, in an order drawn from `seed`.
    pub fn sheets(&self, pipeline: usize, bound: u64, seed: u64) -> Vec<Sheet> {
        let pipeline = pipeline.max(1);
        if let [(only, _)] = self.parts.as_slice() {
            return vec![Sheet::new(std::iter::repeat_n(only, pipeline), bound)];
        }
        let shares: usize = self.parts.iter().map(|(_, share)| *share as usize).sum();
        let bytes: usize =
            self.parts.iter().map(|(t, share)| t.encoded_len() * *share as usize).sum();
        let affordable = MIXED_BYTES / (bytes / shares).max(1);
        let sheets = MIXED_OPERATIONS.min(affordable).div_ceil(pipeline).max(1);
        let mut order = self.dealt(sheets * pipeline, shares);
        order.shuffle(&mut SmallRng::seed_from_u64(seed));
        order.chunks(pipeline).map(|chunk| Sheet::new(chunk.iter().copied(), bound)).collect()
    }

    /// `count` operations, each as often as its share of `shares` says, rounded fairly.
    fn dealt(&self, count: usize, shares: usize) -> Vec<&Template> {
        let mut order = Vec::with_capacity(count);
        let mut up_to = 0;
        for (template, share) in &self.parts {
            up_to += *share as usize;
            order.resize(count * up_to / shares, template);
        }
        order
    }
}

/// The operation of this name. The shapes are those of `redis-benchmark` where it has them.
fn operation(name: &str, shape: Shape) -> Result<Template> {
    let width = shape.width.max(1);
    let many = |head: &str, part: &str| vec![format!("{head}{}", part.repeat(width))];
    let one = |command: &str| vec![command.to_owned()];
    let commands = match name.to_ascii_lowercase().as_str() {
        "ping" => one("PING"),
        "get" => one("GET key:{key}"),
        "set" => one("SET key:{key} {value}"),
        "setseq" => one("SET key:{seq} {value}"),
        "incr" => one("INCR counter:{key}"),
        "mget" => many("MGET", " key:{key}"),
        "mset" => many("MSET", " key:{key} {value}"),
        "exec" => {
            let mut commands = one("MULTI");
            for i in 0..width {
                let command = if i % 2 == 0 { "SET key:{key} {value}" } else { "GET key:{key}" };
                commands.push(command.to_owned());
            }
            commands.push("EXEC".to_owned());
            commands
        }
        "lpush" => one("LPUSH mylist {value}"),
        "rpush" => one("RPUSH mylist {value}"),
        "lpop" => one("LPOP mylist"),
        "rpop" => one("RPOP mylist"),
        "lrange100" => one("LRANGE mylist 0 99"),
        "sadd" => one("SADD myset element:{key}"),
        "spop" => one("SPOP myset"),
        "hset" => one("HSET myhash element:{key} {value}"),
        "hget" => one("HGET myhash element:{key}"),
        "zadd" => one("ZADD myzset {rand} element:{key}"),
        "zscore" => one("ZSCORE myzset element:{key}"),
        "zpopmin" => one("ZPOPMIN myzset"),
        "publish" => one("PUBLISH channel {value}"),
        "xadd" => one("XADD mystream * field {value}"),
        _ => bail!("unknown operation '{name}'"),
    };
    Template::parse(&commands, shape.value_size)
}

/// The operation that creates what the named operations read, if they read anything, with one
/// run over `{seq}` for each key of the keyspace.
pub fn prefill_for(mix: &str, shape: Shape) -> Result<Vec<Workload>> {
    let mut commands: Vec<&str> = Vec::new();
    for part in mix.split(',') {
        let name = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        let command = match name.as_str() {
            "get" | "set" | "mget" | "mset" | "exec" => "SET key:{seq} {value}",
            "lpop" | "rpop" | "lrange100" => "RPUSH mylist {value}",
            "sadd" | "spop" => "SADD myset element:{seq}",
            "hset" | "hget" => "HSET myhash element:{seq} {value}",
            "zadd" | "zscore" | "zpopmin" => "ZADD myzset {rand} element:{seq}",
            _ => continue,
        };
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands.iter().map(|command| Workload::commands(&[command], shape.value_size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { value_size: 8, width: 4 };

    fn replies(sheets: &[Sheet]) -> Vec<u32> {
        sheets
            .iter()
            .flat_map(|sheet| (0..sheet.operations()).map(|slot| sheet.replies(slot)))
            .collect()
    }

    #[test]
    fn one_operation_needs_one_sheet() {
        let workload = Workload::mix("get", SHAPE).unwrap();
        let sheets = workload.sheets(16, 100, 1);
        assert_eq!((sheets.len(), sheets[0].operations()), (1, 16));
    }

    /// `exec` is told from `get` by its six replies.
    #[test]
    fn shares_of_a_mix_are_exact() {
        let workload = Workload::mix("get=75,exec=25", SHAPE).unwrap();
        for pipeline in [1, 16, 100, 4096] {
            let all = replies(&workload.sheets(pipeline, 100, 1));
            let execs = all.iter().filter(|&&n| n == SHAPE.width as u32 + 2).count();
            let exact = all.len() as f64 * 0.25;
            assert!((execs as f64 - exact).abs() <= 1.0, "{pipeline}: {execs} of {}", all.len());
        }
    }

    #[test]
    fn large_values_make_few_sheets() {
        let shape = Shape { value_size: 256 * 1024, width: 1 };
        let sheets = Workload::mix("get,set", shape).unwrap().sheets(1, 100, 1);
        assert!((1..=16).contains(&sheets.len()), "{}", sheets.len());
    }

    #[test]
    fn mistakes_are_reported() {
        for wrong in ["", "gett", "get=0", "get=x"] {
            assert!(Workload::mix(wrong, SHAPE).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prefill_follows_what_is_read() {
        assert_eq!(prefill_for("get=3,set,mget", SHAPE).unwrap().len(), 1);
        assert_eq!(prefill_for("get,lpop,ping", SHAPE).unwrap().len(), 2);
        assert!(prefill_for("ping,incr", SHAPE).unwrap().is_empty());
    }
}
