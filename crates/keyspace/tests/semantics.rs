//! Watches, expiry, flushing, access clocks and what is recorded.

use kevy_data::{Change, Hash, HashLimits, List, ListRef, NodeLimit, Side};
use kevy_keyspace::{
    Changed, Changes, Context, DatabaseFigures, Expiry, Keyspace, Lfu, Placement, Store, Text,
    WrongType,
};

const NOW: i64 = 10_000_000;

/// Four stores under a clock that tests move.
struct Server {
    stores: Vec<(u32, Box<Store>)>,
    changes: Changes,
    now_ms: i64,
    no_touch: bool,
    lfu: Option<Lfu>,
}

impl Server {
    fn new() -> Self {
        let stores = (0..4).map(|id| (id, Box::new(Store::new(id, 16)))).collect();
        Server { stores, changes: Changes::new(), now_ms: NOW, no_touch: false, lfu: None }
    }

    fn db(&mut self, db: usize) -> Keyspace<'_> {
        let placement = Placement::new(4);
        let changes = &mut self.changes;
        let context = Context {
            db,
            now_ms: self.now_ms,
            client: 1,
            no_touch: self.no_touch,
            lfu: self.lfu,
            max_bulk: 512 << 20,
            placement,
            limits: &kevy_data::Limits::DEFAULT,
            changes,
        };
        Keyspace::many(&mut self.stores, context)
    }

    fn set(&mut self, key: &str, ttl: Option<i64>) {
        let expiry = ttl.map_or(Expiry::Clear, |ttl| Expiry::At(self.now_ms + ttl));
        let mut ks = self.db(0);
        ks.set_string(&ks.key(key.as_bytes()), Text::Bytes(b"v"), expiry);
    }

    fn remove(&mut self, key: &str) {
        let mut ks = self.db(0);
        ks.remove(&ks.key(key.as_bytes()));
    }

    fn watch(&mut self, client: u64, key: &str) {
        let mut ks = self.db(0);
        ks.watch(client, &ks.key(key.as_bytes()));
    }

    fn broken(&mut self, client: u64) -> bool {
        self.db(0).watch_broken(client)
    }

    fn expire_all(&mut self) {
        for (_, store) in &mut self.stores {
            while store.expire_slice(self.now_ms, 1, &mut self.changes) {}
        }
    }

    fn changes(&mut self) -> Vec<(String, Changed)> {
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let list = self.changes.iter().map(|change| (text(change.key), change.changed)).collect();
        self.changes.clear();
        list
    }

    fn sum(&self, figure: impl Fn(&Store) -> u64) -> u64 {
        self.stores.iter().map(|(_, store)| figure(store)).sum()
    }
}

#[test]
fn any_change_of_a_watched_key_breaks_the_watch_of_its_database() {
    type Act = fn(&mut Server);
    let acts: [(&str, Act, bool); 9] = [
        ("set", |s| s.set("k", None), true),
        ("remove", |s| s.remove("k"), true),
        ("read", |s| assert!(s.db(0).get(&Placement::new(4).key(b"k")).is_some()), false),
        ("another key", |s| s.set("other", None), false),
        (
            "another database",
            |s| {
                s.db(3).set_string(&Placement::new(4).key(b"k"), Text::Int(1), Expiry::Clear);
            },
            false,
        ),
        (
            "deadline",
            |s| {
                assert!(s.db(0).set_deadline(&Placement::new(4).key(b"k"), Some(i64::MAX)));
            },
            true,
        ),
        (
            "append",
            |s| {
                let key = Placement::new(4).key(b"k");
                s.db(0).update_string(&key).expect("a string").append(b"x");
            },
            true,
        ),
        (
            "a guard that changes nothing",
            |s| {
                let key = Placement::new(4).key(b"k");
                assert!(s.db(0).update_string(&key).expect("a string").value().is_some());
            },
            false,
        ),
        ("flush", |s| assert_eq!(s.db(0).flush(Some(0)), 1), true),
    ];
    for (name, act, breaks) in acts {
        let mut server = Server::new();
        server.set("k", None);
        server.watch(7, "k");
        server.watch(7, "k");
        server.watch(8, "unrelated");
        act(&mut server);
        assert_eq!(server.broken(7), breaks, "{name}");
        assert!(!server.broken(8), "{name}");
        server.db(0).unwatch(7);
        assert!(!server.broken(7), "{name}");
    }
}

#[test]
fn a_watch_of_an_absent_key_breaks_when_it_is_created() {
    let mut server = Server::new();
    server.watch(7, "k");
    server.db(0).flush(None);
    assert!(!server.broken(7));
    server.set("k", None);
    assert!(server.broken(7));
}

#[test]
fn a_watched_key_that_expires_breaks_the_watch_removed_or_not() {
    for remove in [false, true] {
        let mut server = Server::new();
        server.set("k", Some(10));
        server.watch(7, "k");
        server.now_ms += 10;
        assert!(!server.broken(7));
        server.now_ms += 1;
        if remove {
            server.expire_all();
        }
        assert!(server.broken(7));
    }
}

#[test]
fn a_key_that_had_expired_when_watched_may_be_removed() {
    let mut server = Server::new();
    server.set("k", Some(10));
    server.now_ms += 11;
    server.watch(7, "k");
    assert!(!server.broken(7));
    server.expire_all();
    assert!(!server.broken(7));
    server.set("k", None);
    assert!(server.broken(7));
}

#[test]
fn swapping_databases_breaks_watches_of_keys_in_either() {
    for (in_first, in_second) in [(true, false), (false, true), (false, false)] {
        let mut server = Server::new();
        let key = Placement::new(4).key(b"k");
        if in_first {
            server.db(0).set_string(&key, Text::Int(1), Expiry::Clear);
        }
        if in_second {
            server.db(1).set_string(&key, Text::Int(1), Expiry::Clear);
        }
        server.db(0).watch(7, &key);
        server.db(1).watch(8, &key);
        server.db(0).swap(0, 1);
        assert_eq!(
            (server.broken(7), server.broken(8)),
            (in_first || in_second, in_first || in_second)
        );
        assert_eq!((server.db(0).exists(&key), server.db(1).exists(&key)), (in_second, in_first));
    }
}

#[test]
fn swapping_in_an_expired_key_is_no_change_for_who_saw_none() {
    let mut server = Server::new();
    let key = Placement::new(4).key(b"k");
    let deadline = server.now_ms - 1;
    server.db(1).set_string(&key, Text::Int(1), Expiry::At(deadline));
    server.db(0).watch(7, &key);
    server.db(0).swap(0, 1);
    assert!(!server.broken(7));
    assert!(!server.db(0).exists(&key));
    assert!(!server.broken(7));
}

#[test]
fn a_key_lives_until_its_deadline_has_passed() {
    let mut server = Server::new();
    server.set("k", Some(5));
    let key = Placement::new(4).key(b"k");
    server.now_ms += 5;
    assert!(server.db(0).exists(&key));
    server.now_ms += 1;
    assert_eq!(server.db(0).len(0), 1);
    assert!(!server.db(0).exists(&key));
    assert_eq!(server.db(0).len(0), 0);
    assert_eq!(server.changes(), [("k".to_owned(), Changed::Expired)]);
    assert_eq!(server.sum(|store| store.stats().expired), 1);
}

#[test]
fn nothing_expires_before_time_begins() {
    let mut server = Server::new();
    server.set("k", Some(5));
    server.now_ms = i64::MIN;
    assert!(server.db(0).exists(&Placement::new(4).key(b"k")));
}

#[test]
fn overwriting_an_expired_key_is_a_deletion_and_a_creation() {
    let mut server = Server::new();
    server.set("k", Some(5));
    server.now_ms += 6;
    server.changes.record_all(true);
    server.set("k", None);
    server.set("k", None);
    let k = |changed| ("k".to_owned(), changed);
    assert_eq!(server.changes(), [k(Changed::Expired), k(Changed::Created), k(Changed::Modified)]);
    // An expired value is not kept alive by keeping its deadline.
    server.set("k", Some(5));
    server.now_ms += 6;
    let key = Placement::new(4).key(b"k");
    server.db(0).set_string(&key, Text::Int(1), Expiry::Keep);
    assert_eq!(server.db(0).deadline(&key), Some(None));
}

#[test]
fn active_expiry_is_in_order_and_bounded() {
    let mut server = Server::new();
    for i in 0..100 {
        server.set(&format!("k{i}"), Some((i * 37) % 100));
    }
    server.now_ms += 50;
    let store = &mut server.stores[2].1;
    let mut last = i64::MIN;
    while let Some(next) = store.next_deadline().filter(|next| *next < server.now_ms) {
        assert!(next >= last);
        last = next;
        store.expire_slice(server.now_ms, 1, &mut server.changes);
        assert_eq!(server.changes.len(), 1);
        server.changes.clear();
    }
    server.expire_all();
    assert_eq!(server.db(0).len(0), 50);
    assert_eq!(server.db(0).volatile_len(0), 50);
}

#[test]
fn reads_count_and_touch_as_redis_does() {
    let mut server = Server::new();
    let key = Placement::new(4).key(b"k");
    server.set("k", None);
    let created = server.db(0).find(&key).expect("there").clock();
    assert_eq!(i64::from(created), NOW / 1000);
    server.now_ms += 5_000;
    assert!(server.db(0).peek(&key).is_some());
    assert_eq!(server.db(0).find(&key).expect("there").clock(), created);
    assert!(server.db(0).get(&key).is_some());
    assert_eq!(server.db(0).find(&key).expect("there").clock(), created + 5);
    let missing = Placement::new(4).key(b"missing");
    assert!(server.db(0).get(&missing).is_none());
    assert!(server.db(0).find(&missing).is_none());
    assert_eq!(server.sum(|store| store.stats().hits), 2);
    assert_eq!(server.sum(|store| store.stats().misses), 1);
}

#[test]
fn clients_that_leave_no_traces_touch_only_when_asked_to() {
    let mut server = Server::new();
    let key = Placement::new(4).key(b"k");
    server.set("k", None);
    let created = server.db(0).find(&key).expect("there").clock();
    server.now_ms += 5_000;
    server.no_touch = true;
    server.db(0).get(&key);
    server.set("k", None);
    server.db(0).set_deadline(&key, None);
    server.db(0).update_string(&key).expect("a string").append(b"v");
    assert_eq!(server.db(0).find(&key).expect("there").clock(), created);
    assert!(server.db(0).touch(&key));
    assert_eq!(server.db(0).find(&key).expect("there").clock(), created + 5);
}

#[test]
fn uses_are_counted_under_lfu() {
    let mut server = Server::new();
    let lfu = Lfu { log_factor: 0, decay_minutes: 1 };
    server.lfu = Some(lfu);
    let key = Placement::new(4).key(b"k");
    let frequency = |server: &mut Server| {
        let now_ms = server.now_ms;
        lfu.frequency(server.db(0).find(&key).expect("there").clock(), now_ms)
    };
    server.set("k", None);
    assert_eq!(frequency(&mut server), 5);
    server.db(0).get(&key);
    server.db(0).peek(&key);
    assert_eq!(frequency(&mut server), 6);
    server.set("k", None);
    server.db(0).set_deadline(&key, None);
    server.db(0).update_string(&key).expect("a string").append(b"v");
    assert_eq!(frequency(&mut server), 9);
    server.no_touch = true;
    server.db(0).get(&key);
    assert_eq!(frequency(&mut server), 9);
    server.no_touch = false;
    server.now_ms += 3 * 60_000;
    assert_eq!(frequency(&mut server), 6);
    server.db(0).get(&key);
    assert_eq!(frequency(&mut server), 7);
    // A value that moves to a name begins anew there, an expired one as well.
    let value = server.db(0).take(&key).expect("there");
    server.db(0).put(&key, value);
    assert_eq!(frequency(&mut server), 5);
    server.set("k", Some(100));
    server.now_ms += 200;
    server.set("k", None);
    assert_eq!(frequency(&mut server), 5);
}

#[test]
fn chance_decides_which_uses_count_under_lfu() {
    let mut server = Server::new();
    let lfu = Lfu { log_factor: 10, decay_minutes: 1 };
    server.lfu = Some(lfu);
    let key = Placement::new(4).key(b"k");
    server.set("k", None);
    for _ in 0..1_000 {
        server.db(0).get(&key);
    }
    let frequency = lfu.frequency(server.db(0).find(&key).expect("there").clock(), NOW);
    // A thousand uses reach 5 + sqrt(2 * 1000 / 10) or so.
    assert!((12..30).contains(&frequency), "{frequency}");
}

#[test]
fn flushed_databases_are_freed_in_slices() {
    let mut server = Server::new();
    let empty = server.sum(|store| store.memory() as u64);
    for i in 0..10_000 {
        server.set(&format!("key:{i}"), (i % 2 == 0).then_some(1_000));
    }
    let full = server.sum(|store| store.memory() as u64);
    assert_eq!(server.db(0).flush(Some(5)), 0);
    assert_eq!(server.db(0).flush(None), 10_000);
    assert_eq!(server.db(0).len(0), 0);
    assert!(server.stores.iter().all(|(_, store)| store.has_garbage()));
    assert!(server.sum(|store| store.memory() as u64) > full / 2);
    let mut slices = 0;
    for (_, store) in &mut server.stores {
        while store.free_slice(100) {
            slices += 1;
        }
        assert!(!store.has_garbage());
    }
    assert!(slices >= 96, "{slices}");
    assert_eq!(server.sum(|store| store.memory() as u64), empty);
}

#[test]
fn deadlines_of_flushed_databases_are_freed_within_the_budget() {
    let mut server = Server::new();
    for i in 0..10_000 {
        server.set(&format!("key:{i}"), Some(1_000 + i));
    }
    server.db(0).flush(None);
    let (_, store) = &mut server.stores[0];
    loop {
        let held = store.memory();
        let more = store.free_slice(1);
        // Segments of the table, some 13 KiB, go with their last records.
        let freed = held - store.memory();
        assert!(freed < 20 << 10, "{freed} bytes at once");
        if !more {
            break;
        }
    }
    assert!(!store.has_garbage());
}

#[test]
fn figures_tell_keys_and_mean_time_to_live() {
    let mut server = Server::new();
    server.stores.truncate(1);
    let store = &mut server.stores[0].1;
    let context = Context {
        db: 2,
        now_ms: NOW,
        client: 1,
        no_touch: false,
        lfu: None,
        max_bulk: 512 << 20,
        placement: Placement::new(1),
        limits: &kevy_data::Limits::DEFAULT,
        changes: &mut server.changes,
    };
    let mut ks = Keyspace::one(store, context);
    for (name, ttl) in [("a", 100), ("b", 300)] {
        ks.set_string(&ks.key(name.as_bytes()), Text::Int(1), Expiry::At(NOW + ttl));
    }
    ks.set_string(&ks.key(b"c"), Text::Int(1), Expiry::Clear);
    let expected = DatabaseFigures { keys: 3, volatile: 2, avg_ttl_ms: 200 };
    assert_eq!(store.figures(2, NOW), expected);
    assert_eq!(store.figures(0, NOW), DatabaseFigures::default());
}

#[test]
fn a_random_key_is_found_among_expired_ones() {
    let mut server = Server::new();
    for i in 0..2_000 {
        server.set(&format!("expired:{i}"), Some(1));
    }
    server.set("live", None);
    server.now_ms += 2;
    let mut state = 1_u64;
    let drawn = server.db(0).random_key_from(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    });
    assert_eq!(drawn.as_deref(), Some(&b"live"[..]));
}

#[test]
fn a_store_may_move_between_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<Store>();
}

fn append(list: &mut List, element: &[u8]) {
    list.push(Side::Right, Text::Bytes(element), NodeLimit::new(-2));
}

#[test]
fn collections_come_and_go_with_their_elements() {
    let mut server = Server::new();
    let mut ks = server.db(0);
    let (key, text) = (ks.key(b"list"), ks.key(b"text"));
    ks.set_string(&text, Text::Bytes(b"a"), Expiry::Clear);
    assert_eq!(ks.read::<List>(&key).map(|list| list.map(ListRef::len)), Ok(None));
    assert_eq!(ks.update::<List, _>(&text, |_| Change::Changed(())), Err(WrongType));

    // What ends empty was never there.
    let nothing = ks.update::<List, _>(&key, |_| Change::Changed(1)).unwrap();
    assert_eq!((nothing.result, nothing.created, nothing.changed), (1, false, false));
    assert!(!ks.exists(&key));

    let made = ks.update::<List, _>(&key, |list| {
        append(list, b"x");
        Change::Changed(())
    });
    let made = made.unwrap();
    assert!(made.created && made.changed && !made.removed);
    assert_eq!(ks.kind(&key), Some(kevy_data::Kind::List));
    assert_eq!(ks.string(&key), Err(WrongType));
    ks.set_deadline(&key, Some(NOW + 5_000));
    // Beyond what lies inside a record, and back.
    for round in 0..3 {
        let grown = ks.update_existing::<List, _>(&key, |list| {
            (0..200).for_each(|_| append(list, b"some element"));
            Change::Changed(())
        });
        assert!(grown.unwrap().is_some_and(|grown| !grown.created));
        assert_eq!(ks.read::<List>(&key).unwrap().map(ListRef::len), Some(200 * (round + 1) + 1));
    }
    assert_eq!(ks.deadline(&key), Some(Some(NOW + 5_000)));
    let gone = ks.update::<List, _>(&key, |list| {
        *list = List::default();
        Change::Changed(())
    });
    assert!(gone.unwrap().removed);
    assert!(!ks.exists(&key));
    assert!(!ks.put_value(&key, List::default()));
    let mut list = List::default();
    append(&mut list, b"y");
    assert!(!ks.put_value(&key, list.clone()) && ks.put_value(&text, list));
    assert_eq!(ks.read::<List>(&text).unwrap().map(ListRef::len), Some(1));
}

const FIELDS: HashLimits = HashLimits { entries: 8, length: 64 };

/// Makes a hash whose fields `f0`, `f1`… expire after so many milliseconds, or never.
fn hash(server: &mut Server, key: &str, times: &[Option<i64>]) {
    let now_ms = server.now_ms;
    let mut ks = server.db(0);
    let change = |hash: &mut Hash| {
        for (at, time) in times.iter().enumerate() {
            let name = format!("f{at}");
            hash.set(name.as_bytes(), Text::Int(1), false, FIELDS);
            hash.set_deadline(name.as_bytes(), time.map(|time| now_ms + time));
        }
        Change::Changed(())
    };
    assert!(ks.update::<Hash, ()>(&ks.key(key.as_bytes()), change).is_ok());
}

/// How many fields are there of a hash; none without the key.
fn fields(server: &mut Server, key: &str) -> Option<usize> {
    let now_ms = server.now_ms;
    let mut ks = server.db(0);
    let hash = ks.read::<Hash>(&ks.key(key.as_bytes())).ok().flatten();
    hash.map(|hash| hash.at(now_ms).len())
}

/// Names of fields that have expired, `-` for the whole key.
fn expired(server: &mut Server) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let expired = server.changes.iter().filter_map(|change| match change.changed {
        Changed::FieldExpired => Some(text(change.field)),
        Changed::Expired => Some("-".to_owned()),
        _ => None,
    });
    let expired = expired.collect();
    server.changes.clear();
    expired
}

#[test]
fn fields_expire_in_their_order_and_in_slices() {
    for fields_of_each in [4, 40] {
        let mut server = Server::new();
        let times: Vec<_> = (0..fields_of_each).map(|at| (at > 0).then_some(at * 10)).collect();
        hash(&mut server, "k", &times);
        let (first, all) = (NOW + 10, fields_of_each as usize);
        assert_eq!(server.stores.iter().filter_map(|(_, s)| s.next_deadline()).min(), Some(first));
        server.now_ms = NOW + 31;
        assert_eq!(fields(&mut server, "k"), Some(all - 3), "gone at once");
        assert_eq!(expired(&mut server), [""; 0], "reading removes nothing");
        let (now_ms, changes) = (server.now_ms, &mut server.changes);
        let more = server.stores.iter_mut().map(|(_, s)| s.expire_slice(now_ms, 2, changes));
        assert_eq!(more.filter(|more| *more).count(), 1);
        assert_eq!(expired(&mut server), ["f1", "f2"]);
        server.expire_all();
        assert_eq!(expired(&mut server), ["f3"]);
        assert_eq!(server.sum(|store| store.stats().expired_fields), 3);
        server.expire_all();
        assert_eq!(fields(&mut server, "k"), Some(all - 3));
    }
}

#[test]
fn a_hash_is_gone_with_its_last_field() {
    for fields_of_each in [3, 30] {
        let times: Vec<_> = (0..fields_of_each).map(|at| Some(at * 10)).collect();
        let last = fields_of_each * 10 - 10;
        let mut server = Server::new();
        hash(&mut server, "k", &times);
        server.now_ms = NOW + last;
        assert_eq!(fields(&mut server, "k"), Some(1), "not before its deadline has passed");
        server.now_ms += 1;
        let mut ks = server.db(0);
        assert!(ks.at(&ks.key(b"k")).is_none());
        ks.keys(0, |key| panic!("{key:?} is there"));
        assert!(!ks.exists(&ks.key(b"k")));
        assert_eq!(expired(&mut server), ["-"]);

        hash(&mut server, "k", &times);
        server.now_ms += last + 1;
        server.expire_all();
        assert_eq!(expired(&mut server), ["-"]);
        server.set("k", None);
        assert_eq!(server.sum(|store| store.next_deadline().map_or(0, |_| 1)), 0);

        hash(&mut server, "other", &times);
        server.db(0).flush(None);
        while server.stores.iter_mut().any(|(_, store)| store.free_slice(7)) {}
        assert_eq!(server.sum(|store| store.memory_of(0) as u64), 0);
    }
}

#[test]
fn writers_first_remove_what_has_expired_of_what_they_touch() {
    let mut server = Server::new();
    hash(&mut server, "k", &[None, Some(10), Some(20), Some(30)]);
    server.watch(7, "k");
    server.now_ms = NOW + 15;
    let mut ks = server.db(0);
    let key = ks.key(b"k");
    ks.expire_fields(&key, [&b"f0"[..], b"f2", b"none"]);
    assert_eq!(expired(&mut server), [""; 0]);
    assert!(!server.broken(7));
    let mut ks = server.db(0);
    ks.expire_fields(&key, [&b"f2"[..], b"f1"]);
    assert_eq!(expired(&mut server), ["f1"]);
    assert!(server.broken(7));
    assert_eq!(server.stores.iter().filter_map(|(_, s)| s.next_deadline()).min(), Some(NOW + 20));

    // Another name, another copy: the deadlines go along.
    let mut ks = server.db(0);
    let entry = ks.take(&key).expect("an entry");
    assert!(ks.at(&key).is_none());
    ks.put(&ks.key(b"renamed"), entry);
    let copy = ks.clone_value(&ks.key(b"renamed")).expect("an entry");
    ks.put(&ks.key(b"copy"), copy);
    server.changes.clear();
    server.now_ms = NOW + 25;
    server.expire_all();
    assert_eq!(expired(&mut server), ["f2", "f2"]);
    assert_eq!([fields(&mut server, "renamed"), fields(&mut server, "copy")], [Some(2); 2]);
}
