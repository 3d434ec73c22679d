//! What is no longer reachable and is freed in slices, so that nobody waits for it.

use crate::store::Database;
use kevy_data::{Value, allocated};
use std::collections::VecDeque;

/// Emptied databases and removed values that would take long to drop.
#[derive(Default)]
pub(crate) struct Garbage {
    databases: VecDeque<Database>,
    values: VecDeque<Box<Value>>,
    /// Bytes that the values hold.
    value_bytes: usize,
}

impl Garbage {
    pub(crate) fn push_database(&mut self, database: Database) {
        if database.table.memory() > 0 {
            self.databases.push_back(database);
        }
    }

    pub(crate) fn push_value(&mut self, value: Box<Value>) {
        self.value_bytes += memory(&value);
        self.values.push_back(value);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.databases.is_empty()
    }

    /// Bytes held from the allocator.
    pub(crate) fn memory(&self) -> usize {
        let databases: usize = self.databases.iter().map(Database::memory).sum();
        databases + self.value_bytes
    }

    /// Frees up to `budget` elements, records, and leaves of deadlines. Whether there is more.
    pub(crate) fn free_slice(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while left > 0 && !self.is_empty() {
            left -= if self.values.is_empty() {
                self.free_records(left)
            } else {
                self.free_elements(left)
            }
            .min(left);
        }
        !self.is_empty()
    }

    fn free_elements(&mut self, budget: usize) -> usize {
        let Some(value) = self.values.front_mut() else { return 0 };
        let before = memory(value);
        let freed = value.free_slice(budget);
        if freed > 0 {
            self.value_bytes = (self.value_bytes + memory(value)).saturating_sub(before);
        } else {
            self.value_bytes -= before;
            self.values.pop_front();
        }
        freed.max(1)
    }

    fn free_records(&mut self, budget: usize) -> usize {
        let Some(database) = self.databases.front_mut() else { return 0 };
        // Records are told apart no more: their memory leaves the account pro rata.
        let held = database.table.len().max(1);
        let values = &mut self.values;
        let mut value_bytes = 0;
        let mut freed = database.table.clear_slice(budget, |mut record| {
            if let Some(value) = record.take_heavy() {
                value_bytes += memory(&value);
                values.push_back(value);
            }
        });
        self.value_bytes += value_bytes;
        let bytes = &mut database.books.bytes;
        let rest = bytes.saturating_sub(value_bytes);
        *bytes = rest - (rest as u128 * freed as u128 / held as u128) as usize;
        if database.table.len() == 0 {
            let books = &mut database.books;
            for index in [&mut books.expiry, &mut books.elements] {
                freed += index.clear_slice(budget.saturating_sub(freed));
            }
            if books.expiry.is_empty() && books.elements.is_empty() {
                self.databases.pop_front();
            }
        }
        freed.max(1)
    }
}

fn memory(value: &Value) -> usize {
    allocated(size_of::<Value>()) + value.memory()
}
