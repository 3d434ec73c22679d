//! The suites for which each server is started anew and runs alone.

use super::{CompareArgs, Findings, NULL};
use crate::grid::Grid;
use crate::idle;
use crate::memory::{self, Kind};
use crate::servers::{Recipe, Running, Setting};
use crate::stall::{self, Scenario};
use anyhow::{Context, Result};

/// Threads that serve, where nothing is pinned.
const SHARDS: usize = 2;

fn start(recipe: &Recipe) -> Result<Running> {
    let setting = Setting { shards: SHARDS, value_size: 64, cores: Vec::new() };
    Running::start(recipe, &setting)
}

/// What a server cannot do (yet) leaves its cell empty and is told on the way.
fn attempt<T>(server: &str, scenario: &str, result: Result<T>) -> Option<T> {
    result.map_err(|error| println!("{server}, {scenario}: {error:#}")).ok()
}

pub(super) fn stall(args: &CompareArgs) -> Result<Findings> {
    let mut worst = Grid::new("Worst delay of another client", "worst", "ms");
    let mut excess =
        Grid::new("Worst delay above that of the null server or of idling", "excess", "ms");
    let mut busy = Grid::new("Time until done", "busy", "s");
    let count = args.items(args.stall_count);
    for _ in 0..args.repetitions() {
        let mut null_worst = None;
        for recipe in args.servers()? {
            let mut idle_worst = None;
            for scenario in Scenario::ALL.into_iter().filter(|s| args.wants(s.title())) {
                let (name, title) = (recipe.name.as_str(), scenario.title());
                if name == NULL && !matches!(scenario, Scenario::Idle | Scenario::Insert) {
                    continue;
                }
                let server = start(&recipe)?;
                let target = server.targets().swap_remove(0);
                let delays = attempt(name, title, stall::run(&target, scenario, count, None));
                let ms = delays.as_ref().map(stall::Delays::worst_ms);
                worst.add(title, name, ms);
                busy.add(title, name, delays.map(|delays| delays.busy.as_secs_f64()));
                match (scenario, name) {
                    (Scenario::Idle, _) => idle_worst = ms,
                    (Scenario::Insert, NULL) => null_worst = ms,
                    _ => {
                        let base =
                            if scenario == Scenario::Insert { null_worst } else { idle_worst };
                        let above = ms.zip(base).map(|(ms, base)| (ms - base).max(0.0));
                        excess.add(title, name, above);
                    }
                }
            }
        }
    }
    let note = format!(
        "The server has {count} keys, or a set of as many members; load, probe and server share \
         the cores. Each figure is the worst delay within a run."
    );
    Ok(Findings { notes: vec![note], grids: vec![worst, excess, busy], separate_scales: false })
}

pub(super) fn memory(args: &CompareArgs) -> Result<Findings> {
    let million = args.items(1_000_000);
    let mut resident = Grid::new("Resident memory for each item", "resident", "bytes");
    let mut at_worst =
        Grid::new("Resident memory for each item, worst of ten counts", "resident-worst", "bytes");
    let mut used = Grid::new("used_memory for each item", "used", "bytes");
    let counts = memory::ten_counts(million);
    for kind in Kind::all().iter().filter(|kind| args.wants(&kind.title)) {
        for recipe in args.servers()?.iter().filter(|recipe| recipe.name != NULL) {
            let server = start(recipe)?;
            let target = server.targets().swap_remove(0);
            let pid = server.pids()[0];
            let growths = memory::growth(&target, pid, kind, &counts, None);
            let growths = attempt(&recipe.name, &kind.title, growths).unwrap_or_default();
            let first = growths.first();
            let worst = growths.iter().map(|growth| growth.resident).reduce(f64::max);
            resident.add(&kind.title, &recipe.name, first.map(|growth| growth.resident));
            used.add(&kind.title, &recipe.name, first.and_then(|growth| growth.used));
            at_worst.add(&kind.title, &recipe.name, worst);
        }
    }
    let note = format!(
        "Growth of a fresh server for each of {million} items; the ten counts go from there to \
         twice as many."
    );
    Ok(Findings {
        notes: vec![note],
        grids: vec![resident, at_worst, used],
        separate_scales: false,
    })
}

pub(super) fn idle(args: &CompareArgs) -> Result<Findings> {
    let mut grid = Grid::new("A server without work", "idle", "unit in the row");
    let connections = args.idle_connections;
    let seconds = if args.quick { 1.0 } else { 3.0 };
    for _ in 0..args.repetitions() {
        for recipe in args.servers()? {
            let server = start(&recipe)?;
            let name = recipe.name.as_str();
            let ready_ms = server.ready_after().as_secs_f64() * 1000.0;
            grid.add("ready for clients, ms", name, Some(ready_ms));
            let target = server.targets().swap_remove(0);
            let measured = idle::measure(&target, server.pids()[0], connections, seconds);
            let idle = attempt(name, "idle", measured).context("idle")?;
            let mut add = |row: &str, value: f64| grid.add(row, name, Some(value));
            add("resident memory, MiB", idle.resident as f64 / f64::from(1 << 20));
            add("for each idle connection, bytes", idle.per_connection);
            add("CPU without connections, % of a core", idle.cpu_percent);
            add("CPU with idle connections, % of a core", idle.cpu_percent_connected);
        }
    }
    let note = format!("{SHARDS} serving threads; {connections} idle connections.");
    Ok(Findings { notes: vec![note], grids: vec![grid], separate_scales: true })
}
