//! All commands, joined from the families, and the way from a name to a row.

use crate::error::{SHOWN, shown};
use crate::{Args, Error, Flags, Row, Run};
use std::collections::HashMap;

/// A command's place in the table; also indexes the counters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct CommandId(pub u16);

/// What a look-up gives.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The command's place in the table.
    pub id: CommandId,
    /// Its row.
    pub row: &'static Row,
}

/// One entry of the table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The row.
    pub row: &'static Row,
    /// `get`, `config|get`.
    pub full_name: String,
    /// The container of a subcommand.
    pub parent: Option<CommandId>,
    /// The subcommands of a container.
    pub children: Vec<CommandId>,
}

/// All commands.
#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
    names: Names,
    children: Vec<(CommandId, Names)>,
}

impl Table {
    /// Joins families of rows into one table.
    ///
    /// # Errors
    /// The name that two rows share.
    pub fn new(families: &[&[&'static Row]]) -> Result<Self, String> {
        let mut table = Self { entries: Vec::new(), names: Names::default(), children: Vec::new() };
        for row in families.iter().copied().flatten() {
            let id = table.add(row, None, row.name.to_owned());
            if !table.names.add(row.name.as_bytes(), id) {
                return Err(row.name.to_owned());
            }
            let Run::Container(children) = row.run else { continue };
            let mut names = Names::default();
            for child in children {
                let full_name = match child.name {
                    "" => row.name.to_owned(),
                    name => format!("{}|{name}", row.name),
                };
                let child_id = table.add(child, Some(id), full_name.clone());
                table.entries[id.0 as usize].children.push(child_id);
                if !names.add(child.name.as_bytes(), child_id) {
                    return Err(full_name);
                }
            }
            table.children.push((id, names));
        }
        Ok(table)
    }

    /// Calls a command by another name from now on, or, if that is empty, by none
    /// (`rename-command`). Its row and its statistics keep their name.
    ///
    /// # Errors
    /// As Redis words them: there is no such command, or the new name is taken.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), &'static str> {
        let id = self.names.remove(old).ok_or("No such command in rename-command")?;
        if !new.is_empty() && !self.names.add(new, id) {
            return Err("Target command name already exists");
        }
        Ok(())
    }

    fn add(
        &mut self,
        row: &'static Row,
        parent: Option<CommandId>,
        full_name: String,
    ) -> CommandId {
        let id = CommandId(u16::try_from(self.entries.len()).unwrap_or(u16::MAX));
        self.entries.push(Entry { row, full_name, parent, children: Vec::new() });
        id
    }

    /// How many entries there are, subcommands included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no command at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries in the order of their ids.
    pub fn entries(&self) -> impl Iterator<Item = (CommandId, &Entry)> {
        self.entries.iter().enumerate().map(|(at, entry)| (CommandId(at as u16), entry))
    }

    /// Whether clients are told of the entry as a command of its own.
    #[must_use]
    pub fn is_told(&self, entry: &Entry) -> bool {
        let opaque = |parent| self.entry(parent).row.flags.contains(Flags::OPAQUE);
        !entry.row.name.is_empty() && !entry.parent.is_some_and(opaque)
    }

    /// The entry of a command.
    ///
    /// # Panics
    /// If the id is of another table.
    #[must_use]
    pub fn entry(&self, id: CommandId) -> &Entry {
        &self.entries[id.0 as usize]
    }

    /// The command of this name: `get`, `config`, and with `|` between them `config|get`; in any
    /// case.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<Found> {
        let bar = memchr::memchr(b'|', name);
        let id = self.names.get(&name[..bar.unwrap_or(name.len())])?;
        match bar {
            None => Some(self.found(id)),
            Some(bar) => self.child(id, &name[bar + 1..]).map(|id| self.found(id)),
        }
    }

    /// The command that is called by `args`, a container's call resolved to its subcommand.
    ///
    /// # Errors
    /// As Redis words them: an unknown command or subcommand, with its arguments; a container
    /// called without a subcommand.
    #[inline]
    pub fn find(&self, args: &Args<'_>) -> Result<Found, Error> {
        let Some(id) = self.names.get(args.name()) else { return Err(unknown(args)) };
        let found = self.found(id);
        if let Run::Container(_) = found.row.run { self.find_child(found, args) } else { Ok(found) }
    }

    fn find_child(&self, container: Found, args: &Args<'_>) -> Result<Found, Error> {
        let Some(name) = args.get(1) else {
            let nameless = self.child(container.id, b"").map(|id| self.found(id));
            return nameless.ok_or_else(|| Error::arity(container.row.name));
        };
        let named = self.child(container.id, name).filter(|_| !name.is_empty());
        let opaque = container.row.flags.contains(Flags::OPAQUE);
        named
            .or_else(|| opaque.then(|| self.child(container.id, b"")).flatten())
            .map(|id| self.found(id))
            .ok_or_else(|| {
                let container = container.row.name.to_ascii_uppercase();
                let after = format!("'. Try {container} HELP.");
                Error::quoting("ERR unknown subcommand '", shown(name, SHOWN), &after)
            })
    }

    fn child(&self, container: CommandId, name: &[u8]) -> Option<CommandId> {
        let (_, names) = self.children.iter().find(|(id, _)| *id == container)?;
        names.get(name)
    }

    #[inline]
    fn found(&self, id: CommandId) -> Found {
        Found { id, row: self.entries[id.0 as usize].row }
    }
}

/// The error for a name that no command has; the arguments are cut at 128 bytes, as in Redis.
fn unknown(args: &Args<'_>) -> Error {
    let mut line = b"ERR unknown command '".to_vec();
    line.extend_from_slice(shown(args.name(), SHOWN));
    line.extend_from_slice(b"', with args beginning with: ");
    let begin = line.len();
    for arg in args.iter().skip(1) {
        let used = line.len() - begin;
        if used >= SHOWN {
            break;
        }
        line.push(b'\'');
        line.extend_from_slice(shown(arg, SHOWN - used));
        line.extend_from_slice(b"' ");
    }
    Error::from_bytes(line)
}

/// Names in any case, found by one multiplication and (nearly always) one comparison.
#[derive(Debug, Default)]
struct Names {
    slots: Vec<Slot>,
    len: usize,
    long: HashMap<Vec<u8>, CommandId>,
}

/// A name of at most 16 bytes as a number; length 0 is an empty slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    name: u128,
    len: u8,
    id: u16,
}

impl Names {
    /// Names of more bytes go the slow way.
    const SHORT: usize = 16;

    /// Adds a name; `false` if it is there already.
    fn add(&mut self, name: &[u8], id: CommandId) -> bool {
        if self.get(name).is_some() {
            return false;
        }
        let Some(folded) = fold(name) else {
            return self.long.insert(name.to_ascii_lowercase(), id).is_none();
        };
        self.len += 1;
        if self.slots.len() < self.len * 4 {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![Slot::default(); (self.len * 8).next_power_of_two()];
            for slot in old.into_iter().filter(|slot| slot.len != 0) {
                self.place(slot);
            }
        }
        self.place(Slot { name: folded, len: name.len() as u8, id: id.0 });
        true
    }

    /// Takes a name out; gives whose it was.
    fn remove(&mut self, name: &[u8]) -> Option<CommandId> {
        let id = self.get(name)?;
        let Some(folded) = fold(name) else { return self.long.remove(&name.to_ascii_lowercase()) };
        let size = self.slots.len();
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
        let is_it = |slot: &Slot| slot.name == folded && usize::from(slot.len) == name.len();
        for slot in old.into_iter().filter(|slot| slot.len != 0 && !is_it(slot)) {
            self.place(slot);
        }
        self.len -= 1;
        Some(id)
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = spread(slot.name) & mask;
        while self.slots[at].len != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    #[inline]
    fn get(&self, name: &[u8]) -> Option<CommandId> {
        let Some(folded) = fold(name) else {
            return self.long.get(&name.to_ascii_lowercase()).copied();
        };
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = spread(folded) & mask;
        loop {
            let slot = self.slots[at];
            if slot.name == folded && usize::from(slot.len) == name.len() {
                return Some(CommandId(slot.id));
            }
            if slot.len == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }
}

/// A short name in lower case as a number; `None` if it is empty or long.
///
/// Bytes outside the letters are kept, so that two names are equal exactly when Redis thinks so.
#[inline]
fn fold(name: &[u8]) -> Option<u128> {
    if name.is_empty() || name.len() > Names::SHORT {
        return None;
    }
    let (low, high) = match name.len() {
        8.. => (word(&name[..8]), word(&name[8..])),
        _ => (word(name), 0),
    };
    Some(u128::from(lower(low)) | u128::from(lower(high)) << 64)
}

/// Up to 8 bytes as a number, the first byte lowest; by loads of fixed sizes that may overlap, for
/// a copy of unknown length would cost more than all the rest of a look-up.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some((whole, [])) = bytes.split_first_chunk::<8>() {
        return u64::from_le_bytes(*whole);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let shift = 8 * (bytes.len() - 4);
        return u64::from(u32::from_le_bytes(*first))
            | u64::from(u32::from_le_bytes(*last)) << shift;
    }
    match bytes {
        [a, b, c] => u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16,
        [a, b] => u64::from(*a) | u64::from(*b) << 8,
        [a] => u64::from(*a),
        _ => 0,
    }
}

/// Eight bytes with the capital letters among them made small.
#[inline]
const fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let seven = word & !HIGH;
    let from_a = seven + (0x80 - b'A' as u64) * ONES;
    let past_z = seven + (0x80 - b'Z' as u64 - 1) * ONES;
    let capital = (from_a & !past_z) & !word & HIGH;
    word | capital >> 2
}

#[inline]
const fn spread(name: u128) -> usize {
    let mixed = (name as u64) ^ ((name >> 64) as u64).rotate_left(29);
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_renamed_and_removed() {
        let mut table = Table::new(crate::FAMILIES).unwrap();
        let get = table.named(b"get").unwrap();
        table.rename(b"GET", b"fetch-with-quite-a-long-name").unwrap();
        assert!(table.named(b"get").is_none());
        assert_eq!(table.named(b"FETCH-with-quite-a-long-name").unwrap().id, get.id);
        table.rename(b"fetch-with-quite-a-long-name", b"get").unwrap();
        assert_eq!(table.named(b"Get").unwrap().id, get.id);
        table.rename(b"get", b"").unwrap();
        assert!(table.named(b"get").is_none());
        assert!(table.rename(b"get", b"x").is_err());
        assert!(table.rename(b"set", b"del").is_err());
        assert!(table.named(b"append").is_some());
    }

    #[test]
    fn names_fold_to_their_small_letters() {
        for len in 1..=Names::SHORT {
            let name: Vec<u8> = (0..len).map(|at| b"AzZaBy@[`{|-_09x"[at]).collect();
            let mut expected = [0; 16];
            expected[..len].copy_from_slice(&name.to_ascii_lowercase());
            assert_eq!(fold(&name), Some(u128::from_le_bytes(expected)), "{len}");
        }
        assert_eq!((fold(b""), fold(&[b'a'; 17])), (None, None));
        assert_eq!(fold(&[0xC1, 0x41]), Some(0x61C1), "only ASCII has cases");
    }
}
