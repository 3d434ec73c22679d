//! What holds for every row.

use crate::generate::Generator;
use crate::machine::{Machine, table};
use crate::render::render;
use kevy_command::row::{Begin, Find, KeyFlags};
use kevy_command::{Flags, Row, Run, Table};
use kevy_keyspace::Lfu;
use kevy_resp::Proto;
use rand::Rng;

/// Commands that write without naming keys.
const WHOLE_KEYSPACE: [&str; 3] = ["flushall", "flushdb", "swapdb"];
/// Commands that write beside the data of their keys, so that Redis says they read: groups that
/// take note of what was delivered.
const WRITE_ASIDE: [&str; 1] = ["xreadgroup"];

/// All rows that have a handler, with their full names.
fn callable(table: &Table) -> Vec<(String, &'static Row)> {
    let entries = table.entries().map(|(_, entry)| (entry.full_name.clone(), entry.row));
    entries.filter(|(_, row)| !matches!(row.run, Run::Container(_))).collect()
}

#[test]
fn names_are_unique_and_small() {
    let table = table();
    for (_, entry) in table.entries() {
        assert_eq!(entry.row.name, entry.row.name.to_lowercase());
        let found = table.named(entry.full_name.as_bytes()).expect("a named row");
        assert_eq!(table.entry(found.id).full_name, entry.full_name);
    }
}

#[test]
fn key_specifications_fit_the_arity() {
    for (name, row) in callable(&table()) {
        let shortest = i64::from(row.arity.unsigned_abs());
        for spec in row.keys {
            let Begin::Index(first) = spec.begin else { continue };
            assert!(usize::from(first) > name.matches('|').count(), "{name}");
            let last = match spec.find {
                Find::Range { last, .. } if last >= 0 => i64::from(first) + i64::from(last),
                // Of keys to the end there may be none.
                Find::Range { .. } => i64::from(first) - 1,
                _ => i64::from(first),
            };
            assert!(last < shortest, "{name}: key {last} of {shortest} arguments");
        }
    }
}

#[test]
fn exactly_the_writes_write_keys() {
    let writing = KeyFlags::RW | KeyFlags::OW | KeyFlags::RM;
    for (name, row) in callable(&table()) {
        let writes = row.keys.iter().any(|spec| spec.flags.intersects(writing))
            || WHOLE_KEYSPACE.contains(&name.as_str())
            || WRITE_ASIDE.contains(&name.as_str());
        // What is read may be kept beside the data, for the next time.
        let keeps = row.flags.contains(Flags::MAY_REPLICATE);
        assert_eq!(row.flags.contains(Flags::WRITE), writes && !keeps, "{name}");
        assert!(!row.flags.contains(Flags::WRITE | Flags::READONLY), "{name}");
        assert_eq!(
            matches!(row.run, Run::Keys(_) | Run::Reach(..) | Run::Session(..) | Run::Blocking(_)),
            !row.keys.is_empty(),
            "{name}"
        );
        let waits = matches!(row.run, Run::Blocking(_));
        assert!(!waits || row.flags.contains(Flags::BLOCKING), "{name}");
    }
}

#[test]
fn rows_are_documented() {
    for (name, row) in callable(&table()) {
        let doc = &row.doc;
        assert!(
            doc.summary.ends_with('.') && doc.summary.starts_with(char::is_uppercase),
            "{name}"
        );
        assert!(
            doc.complexity.starts_with("O(") || doc.complexity.starts_with("Depends"),
            "{name}"
        );
        assert_eq!(doc.since.split('.').count(), 3, "{name}");
        kevy_command::syntax::parse(doc.syntax).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}

#[test]
fn calls_by_the_syntax_are_accepted() {
    let table = table();
    let mut generator = Generator::new(1, 1_000_000);
    for (name, row) in callable(&table) {
        for _ in 0..60 {
            let call = generator.call(&name, row);
            assert!(row.fits(call.len()), "{name}: {} arguments", call.len());
            let reply = render(&Machine::new(1, Proto::Resp2).call(0, &call));
            let refused = ["!ERR wrong number", "!ERR unknown", "!ERR Unsupported"];
            assert!(!refused.iter().any(|why| reply.starts_with(why)), "{call:?}: {reply}");
            // With a reason behind it, it is that options exclude each other.
            assert_ne!(reply, "!ERR syntax error", "{call:?}");
        }
    }
}

/// Several calls of random writing rows, the time going on between them.
fn random_history(machine: &mut Machine, generator: &mut Generator, of: &str, row: &Row) {
    let rows = callable(&table());
    let writes = Flags::WRITE | Flags::MAY_REPLICATE;
    let writing: Vec<_> = rows.iter().filter(|(_, row)| row.flags.intersects(writes)).collect();
    for _ in 0..12 {
        let call = if generator.rng().random_bool(0.4) {
            generator.call(of, row)
        } else {
            let (name, row) = writing[generator.rng().random_range(0..writing.len())];
            generator.call(name, row)
        };
        machine.call(0, &call);
        if generator.rng().random_bool(0.1) {
            let db = generator.rng().random_range(0..3_u32).to_string();
            machine.call(0, &["SELECT".as_bytes(), db.as_bytes()]);
        }
        machine.now_ms += generator.rng().random_range(0..300_000);
        generator.now_ms = machine.now_ms;
    }
}

#[test]
fn recorded_frames_lead_to_the_same_keys() {
    for (name, row) in callable(&table()) {
        if !row.flags.contains(Flags::WRITE) {
            continue;
        }
        for seed in 0..40 {
            let mut machine = Machine::new(4, Proto::Resp2);
            let mut generator = Generator::new(seed, machine.now_ms);
            random_history(&mut machine, &mut generator, &name, row);
            let log = std::mem::take(&mut machine.log);
            // Nothing expires while a log is read, so it must say all expiries itself.
            let mut other = Machine::new(1, Proto::Resp2);
            other.now_ms = i64::MIN;
            other.replay(&log);
            let now_ms = machine.now_ms;
            assert_eq!(
                machine.digest(now_ms),
                other.digest(now_ms),
                "{name}, seed {seed}: {log:?}"
            );
        }
    }
}

#[test]
fn what_is_popped_by_chance_is_recorded_as_its_removal() {
    for (members, counts) in [(100, [1, 7, 90]), (4_000, [1, 1_500, 2_400]), (4_000, [1, 2, 3_990])]
    {
        for name in ["member", ""] {
            let mut machine = Machine::new(2, Proto::Resp2);
            let all: Vec<String> = (0..members).map(|number| format!("{name}{number}")).collect();
            let add: Vec<&str> =
                ["SADD", "s"].into_iter().chain(all.iter().map(|m| &**m)).collect();
            machine.call(0, &add);
            for count in counts {
                machine.call(0, &["SPOP", "s", &count.to_string()]);
            }
            machine.call(0, &["SPOP", "s"]);
            let log = std::mem::take(&mut machine.log);
            assert!(log.iter().skip(1).all(|(_, frame)| frame[0] == b"SREM"), "{log:?}");
            let mut other = Machine::new(1, Proto::Resp2);
            other.replay(&log);
            let now_ms = machine.now_ms;
            assert_eq!(machine.digest(now_ms), other.digest(now_ms), "{members} {counts:?}");
        }
    }
}

#[test]
fn calls_that_change_nothing_record_nothing() {
    for (name, row) in callable(&table()) {
        for seed in 0..30 {
            let mut machine = Machine::new(2, Proto::Resp2);
            let mut generator = Generator::new(seed, machine.now_ms);
            random_history(&mut machine, &mut generator, "set", &row_named("set"));
            let now_ms = machine.now_ms;
            let before = machine.digest(now_ms);
            let call = generator.call(&name, row);
            machine.call(0, &call);
            let recorded = std::mem::take(&mut machine.log);
            if recorded.is_empty() {
                assert_eq!(before, machine.digest(now_ms), "{call:?}");
            }
        }
    }
}

fn row_named(name: &str) -> Row {
    *table().named(name.as_bytes()).unwrap().row
}

#[test]
fn both_protocols_carry_the_same_data() {
    let rows = callable(&table());
    for (stores, seed) in [(1, 1), (4, 2)] {
        let mut two = Machine::new(stores, Proto::Resp2);
        let mut three = Machine::new(stores, Proto::Resp3);
        let mut generator = Generator::new(seed, two.now_ms);
        for _ in 0..3_000 {
            let (name, row) = &rows[generator.rng().random_range(0..rows.len())];
            // These change the protocol or the replies, or choose by chance.
            let own = ["hello", "reset", "client|reply", "randomkey", "quit", "client|id"];
            if own.contains(&name.as_str()) {
                continue;
            }
            let call = generator.call(name, row);
            let (a, b) = (two.call(0, &call), three.call(0, &call));
            let unordered = matches!(name.as_str(), "keys" | "scan");
            if !unordered {
                assert_eq!(sorted_sets(&render(&a)), sorted_sets(&render(&b)), "{call:?}");
            }
        }
    }
}

/// Sets are arrays in the older protocol, so their order cannot be told apart there; and pairs are
/// nested in the newer one only.
fn sorted_sets(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().filter(|c| !['[', ']'].contains(c)).collect();
    chars.sort_unstable();
    chars
}

#[test]
fn random_bytes_are_answered_in_whole_replies() {
    let rows = callable(&table());
    let mut generator = Generator::new(7, 1_000_000);
    let mut machine = Machine::new(2, Proto::Resp3);
    let odd: [&[u8]; 8] = [
        b"",
        b"-1",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"nan",
        b"\r\n",
        b"0",
        b"get",
    ];
    for _ in 0..6_000 {
        let (name, row) = &rows[generator.rng().random_range(0..rows.len())];
        if name == "client|reply" {
            continue;
        }
        let mut call = generator.call(name, row);
        let at = generator.rng().random_range(0..call.len());
        if at > name.matches('|').count() {
            call[at] = odd[generator.rng().random_range(0..odd.len())].to_vec();
        }
        if generator.rng().random_bool(0.2) {
            call.truncate(at + 1);
        }
        render(&machine.call(0, &call));
    }
}

#[test]
fn walks_meet_every_key() {
    for stores in [1, 4] {
        let mut machine = Machine::new(stores, Proto::Resp2);
        let names: Vec<String> = (0..3_000).map(|n| format!("key:{n}")).collect();
        for name in &names {
            machine.call(0, &["SET", name, "1"]);
        }
        let mut met = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let reply = render(&machine.call(0, &["SCAN", &cursor, "COUNT", "100"]));
            let texts: Vec<&str> = reply.split('"').skip(1).step_by(2).collect();
            met.extend(texts[1..].iter().map(|text| (*text).to_owned()));
            assert!(texts.len() < 400, "{} keys at once", texts.len());
            cursor = texts[0].to_owned();
            if cursor == "0" {
                break;
            }
        }
        met.sort();
        met.dedup();
        let mut names = names;
        names.sort();
        assert_eq!(met, names);
    }
}

#[test]
fn a_password_keeps_clients_out_until_they_give_it() {
    let mut machine = Machine::new(1, Proto::Resp2);
    machine.settings.password = Some(b"secret".to_vec());
    assert_eq!(render(&machine.call(0, &["RESET"])), "RESET");
    let wrong = "!WRONGPASS invalid username-password pair or user is disabled.";
    for (call, expected) in [
        ("GET a", "!NOAUTH Authentication required."),
        ("AUTH secre", wrong),
        ("AUTH secretx", wrong),
        ("AUTH default Secret", wrong),
        ("AUTH other secret", wrong),
        ("HELLO 2 AUTH default wrong SETNAME x", wrong),
        ("GET a", "!NOAUTH Authentication required."),
        ("AUTH default secret", "OK"),
        ("GET a", "nil"),
        ("RESET", "RESET"),
        ("GET a", "!NOAUTH Authentication required."),
        ("AUTH secret", "OK"),
        ("CLIENT GETNAME", "nil"),
    ] {
        assert_eq!(render(&machine.call(0, &crate::render::words(call))), expected, "{call}");
    }
    machine.call(0, &["RESET"]);
    let refused = render(&machine.call(0, &["HELLO", "3"]));
    assert!(refused.starts_with("!NOAUTH HELLO must be called"), "{refused}");
    let greeted = machine.call(0, &["HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me"]);
    assert!(greeted.starts_with(b"%7\r\n"), "in the protocol just chosen");
    assert_eq!(render(&machine.call(0, &["CLIENT", "GETNAME"])), "\"me\"");
}

#[test]
fn objects_tell_idle_time_or_frequency_as_the_policy_has_it() {
    let advice = "Please note that when switching between policies at runtime LRU and LFU data \
                  will take some time to adjust.";
    let no_frequency = format!(
        "!ERR An LFU maxmemory policy is not selected, access frequency not tracked. {advice}"
    );
    let no_idle_time =
        format!("!ERR An LFU maxmemory policy is selected, idle time not tracked. {advice}");
    let mut machine = Machine::new(2, Proto::Resp2);
    let say = |machine: &mut Machine, calls: &[(&str, &str)]| {
        for (call, expected) in calls {
            let reply = render(&machine.call(0, &crate::render::words(call)));
            assert_eq!(reply, *expected, "{call}");
        }
    };
    say(&mut machine, &[("SET k v", "OK"), ("OBJECT FREQ k", &no_frequency)]);
    say(&mut machine, &[("OBJECT IDLETIME k", "0"), ("OBJECT IDLETIME none", "nil")]);
    machine.settings.lfu = Some(Lfu { log_factor: 0, decay_minutes: 1 });
    say(&mut machine, &[("OBJECT IDLETIME k", &no_idle_time), ("OBJECT IDLETIME none", "nil")]);
    say(&mut machine, &[("OBJECT FREQ none", "nil"), ("SET new 1", "OK")]);
    say(&mut machine, &[("OBJECT FREQ new", "5"), ("OBJECT FREQ new", "5"), ("GET new", "\"1\"")]);
    say(&mut machine, &[("TYPE new", "string"), ("INCR new", "2"), ("OBJECT FREQ new", "7")]);
    machine.now_ms += 120_000;
    say(&mut machine, &[("OBJECT FREQ new", "5"), ("TOUCH new", "1"), ("OBJECT FREQ new", "6")]);
    say(&mut machine, &[("RENAME new other", "OK"), ("OBJECT FREQ other", "5")]);
}
