//! Sections about memory and processor time.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::{Scene, Sheet};
use crate::machine::{ProcessMemory, total_memory};

pub(super) fn memory(scene: &Scene<'_>, sheet: &mut Sheet) {
    let engine = scene.engine;
    let config = engine.config();
    let memory = engine.memory();
    let resident = ProcessMemory::read().resident;
    let overhead = memory.startup + memory.clients;
    sized(sheet, "used_memory", memory.used);
    sized(sheet, "used_memory_rss", resident);
    sized(sheet, "used_memory_peak", memory.peak);
    sheet.field("used_memory_peak_perc", percent(memory.used, memory.peak));
    sheet.field("used_memory_overhead", overhead);
    sheet.field("used_memory_startup", memory.startup);
    sheet.field("used_memory_dataset", memory.dataset);
    let beyond_startup = memory.used - memory.startup.min(memory.used);
    sheet.field("used_memory_dataset_perc", percent(memory.dataset, beyond_startup));
    sheet.field("allocator_allocated", memory.used);
    sheet.field("allocator_active", resident);
    sheet.field("allocator_resident", resident);
    sized(sheet, "total_system_memory", total_memory());
    sized(sheet, "used_memory_lua", 0);
    sheet.fixed(&[("used_memory_vm_eval", "0"), ("used_memory_scripts_eval", "0")]);
    sheet.fixed(&[
        ("number_of_cached_scripts", "0"),
        ("number_of_functions", "0"),
        ("number_of_libraries", "0"),
        ("used_memory_vm_functions", "0"),
    ]);
    sized(sheet, "used_memory_vm_total", 0);
    sheet.field("used_memory_functions", 0);
    sized(sheet, "used_memory_scripts", 0);
    sized(sheet, "maxmemory", config.maxmemory());
    sheet.field("maxmemory_policy", config.maxmemory_policy().word());
    fragmentation(sheet, memory.used, resident);
    sheet.fixed(&[
        ("mem_not_counted_for_evict", "0"),
        ("mem_replication_backlog", "0"),
        ("mem_total_replication_buffers", "0"),
        ("mem_clients_slaves", "0"),
    ]);
    sheet.field("mem_clients_normal", memory.clients);
    sheet.fixed(&[
        ("mem_cluster_links", "0"),
        ("mem_aof_buffer", "0"),
        ("mem_allocator", "mimalloc"),
        ("active_defrag_running", "0"),
        ("lazyfree_pending_objects", "0"),
        ("lazyfreed_objects", "0"),
    ]);
}

/// What the process holds beyond what it uses.
fn fragmentation(sheet: &mut Sheet, used: u64, resident: u64) {
    let ratio = resident as f64 / used.max(1) as f64;
    let bytes = resident as i64 - used as i64;
    for name in ["allocator_frag", "allocator_rss", "rss_overhead"] {
        sheet.field(&format!("{name}_ratio"), "1.00");
        sheet.field(&format!("{name}_bytes"), 0);
    }
    sheet.field("mem_fragmentation_ratio", format_args!("{ratio:.2}"));
    sheet.field("mem_fragmentation_bytes", bytes);
}

/// A number of bytes, also in a form for people.
fn sized(sheet: &mut Sheet, name: &str, bytes: u64) {
    sheet.field(name, bytes);
    sheet.field(&format!("{name}_human"), human(bytes));
}

/// A number of bytes with a unit: `512B`, `1.50K`, `23.54G`.
pub(in crate::commands) fn human(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = (bytes.ilog2() / 10).min(UNITS.len() as u32);
    let number = bytes as f64 / (1_u64 << (10 * power)) as f64;
    format!("{number:.2}{}", UNITS[power as usize - 1])
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

pub(super) fn cpu(_: &Scene<'_>, sheet: &mut Sheet) {
    let usages = [
        ("", UsageWho::RUSAGE_SELF),
        ("_children", UsageWho::RUSAGE_CHILDREN),
        // The thread that answers: a shard's.
        ("_main_thread", UsageWho::RUSAGE_THREAD),
    ];
    for (suffix, who) in usages {
        let Ok(usage) = getrusage(who) else { continue };
        sheet.field(&format!("used_cpu_sys{suffix}"), seconds(usage.system_time()));
        sheet.field(&format!("used_cpu_user{suffix}"), seconds(usage.user_time()));
    }
}

fn seconds(time: TimeVal) -> String {
    format!("{}.{:06}", time.tv_sec(), time.tv_usec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (916_344, "894.87K"),
            (6_651_904, "6.34M"),
            (25_276_510_208, "23.54G"),
            (u64::MAX, "16384.00P"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!(percent(0, 0), "0.00%");
        assert_eq!(percent(1, 4), "25.00%");
    }
}
