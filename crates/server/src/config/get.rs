//! `CONFIG GET`.

use super::table::{Id, TABLE, lookup};
use super::{Config, access, pattern};

impl Config {
    /// The names that match any of the patterns, with their values, each name once.
    ///
    /// A pattern without `*`, `?` and `[` is a name: it finds hidden directives too, and is given
    /// back as it was written. An alias is a name like any other.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for &wanted in patterns {
            if !pattern::is_pattern(wanted) {
                if let Some(id) = lookup(wanted) {
                    add(&mut found, wanted, || self.show(id));
                }
                continue;
            }
            for id in Id::all().filter(|id| !id.directive().hidden) {
                for name in names(id) {
                    if pattern::matches(wanted, name.as_bytes()) {
                        add(&mut found, name.as_bytes(), || self.show(id));
                    }
                }
            }
        }
        found
    }

    /// The value of a directive as `CONFIG GET` shows it.
    pub fn show(&self, id: Id) -> Vec<u8> {
        if id == access::SHARDS && self.running_shards > 0 {
            return self.running_shards.to_string().into();
        }
        id.directive().kind.show(self.value(id))
    }
}

fn names(id: Id) -> impl Iterator<Item = &'static str> {
    let row = &TABLE[id.index()];
    std::iter::once(row.name).chain(row.aliases.iter().copied())
}

fn add(found: &mut Vec<(Vec<u8>, Vec<u8>)>, name: &[u8], value: impl FnOnce() -> Vec<u8>) {
    if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
        found.push((name.to_vec(), value()));
    }
}
