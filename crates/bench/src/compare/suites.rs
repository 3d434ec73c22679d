//! The suites that are made of loads.

use super::contest::{Case, Contest, LoadGrids};
use super::{CompareArgs, Findings, NO_LOG};
use crate::servers::Recipe;
use anyhow::Result;

const KIB: usize = 1024;

pub(super) fn one_shard(args: &CompareArgs) -> Result<Findings> {
    let mut cases = Vec::new();
    for pipeline in [1, 16, 64] {
        cases.push(Case::new("GET", "get", pipeline));
        cases.push(Case::new("SET", "set", pipeline));
    }
    cases.extend([
        Case::new("INCR", "incr", 16),
        Case::new("LPUSH", "lpush", 16),
        uses_up(args, Case::new("LPOP", "lpop", 16)),
        Case::new("HSET", "hset", 16),
        Case::new("ZADD", "zadd", 16),
        Case { subscribers: 50, ..Case::new("PUBLISH to 50 subscribers", "publish", 1) },
    ]);
    for (size, name) in [(16 * KIB, "16 KiB"), (64 * KIB, "64 KiB")] {
        cases.push(large(Case::new(&format!("GET {name}"), "get", 1), size));
        cases.push(large(Case::new(&format!("SET {name}"), "set", 1), size));
    }
    let contest = Contest { recipes: args.servers()?, cases, shards: 1, pinned: true };
    let note = "One serving thread, the server on the first core and the load on the second; 50 \
                connections, 100,000 keys, values of 64 B unless said; nothing is persisted.";
    findings(args, note, [contest])
}

pub(super) fn two_shard(args: &CompareArgs) -> Result<Findings> {
    let mut cases = vec![Case::new("GET", "get", 16), Case::new("SET", "set", 16)];
    for pipeline in [1, 16] {
        cases.extend([
            Case { width: 10, ..Case::new("MGET of 10", "mget", pipeline) },
            Case { width: 10, ..Case::new("MSET of 10", "mset", pipeline) },
            Case { width: 4, ..Case::new("EXEC of 4", "exec", pipeline) },
        ]);
    }
    cases.push(Case { clients: 1, ..Case::new("GET by one client alone", "get", 1) });
    let mut contest = with_control(args, cases, 2)?;
    contest.recipes.extend(args.redis().map(|redis| Recipe {
        name: "redis, 1 thread".to_owned(),
        command: redis.command.replace("{shards}", "1"),
        ..redis
    }));
    let note = "Two serving threads, nothing pinned; 50 connections, 100,000 keys, values of \
                64 B; nothing is persisted. The control is two one-shard servers side by side \
                with half of the connections each.";
    findings(args, note, [contest])
}

pub(super) fn many_shards(args: &CompareArgs) -> Result<Findings> {
    let contests = [4, 8]
        .map(|shards| {
            let case = |name: &str, mix| {
                let mut case = Case::new(name, mix, 16);
                case.title = format!("{name}, {shards} shards, pipeline 16");
                case
            };
            with_control(args, vec![case("GET", "get"), case("SET", "set")], shards)
        })
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let note = "More serving threads than this machine may have cores, nothing pinned. The \
                control is as many one-shard servers side by side.";
    findings(args, note, contests)
}

pub(super) fn durability(args: &CompareArgs) -> Result<Findings> {
    let contest = |policy: &str, pipelines: &[usize]| -> Result<Contest> {
        let cases = pipelines
            .iter()
            .map(|&pipeline| Case::new(&format!("SET, {policy}"), "set", pipeline))
            .collect();
        let mut recipes = args.servers()?;
        recipes.retain(|recipe| recipe.command.contains(NO_LOG));
        if policy != "no log" {
            for recipe in &mut recipes {
                log(recipe, policy);
            }
        }
        Ok(Contest { recipes, cases, shards: 1, pinned: true })
    };
    let contests =
        [contest("always", &[1, 16])?, contest("everysec", &[16])?, contest("no log", &[16])?];
    let note = "One serving thread, pinned as in the first suite; 50 connections.";
    findings(args, note, contests)
}

fn log(recipe: &mut Recipe, policy: &str) {
    let options = format!("--save '' --appendonly yes --appendfsync {policy}");
    recipe.command = recipe.command.replace(NO_LOG, &options);
}

fn with_control(args: &CompareArgs, cases: Vec<Case>, shards: usize) -> Result<Contest> {
    let mut recipes = args.servers()?;
    recipes.extend(args.control(shards)?);
    Ok(Contest { recipes, cases, shards, pinned: false })
}

fn findings(
    args: &CompareArgs,
    note: &str,
    contests: impl IntoIterator<Item = Contest>,
) -> Result<Findings> {
    let mut grids = LoadGrids::new();
    for contest in contests {
        contest.run(args, &mut grids)?;
    }
    let mut notes = vec![note.to_owned()];
    notes.extend(grids.failures().iter().cloned());
    Ok(Findings { notes, grids: grids.into_grids(), separate_scales: true })
}

/// Fewer keys for large values: 64 MiB of them.
fn large(case: Case, value_size: usize) -> Case {
    Case { value_size, keyspace: (64 * KIB * KIB / value_size) as u64, ..case }
}

/// Elements are created beforehand, one for each operation.
fn uses_up(args: &CompareArgs, case: Case) -> Case {
    let operations = args.items(1_000_000);
    Case { operations: Some(operations), keyspace: operations, ..case }
}
