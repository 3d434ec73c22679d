//! Walking over a large collection by cursor.

use kevy_map::KevyMap;

/// Calls `each` with about `count` elements of a table, from `cursor` on, and returns where to go
/// on; 0 is the start and the end. Every element that is there throughout is met at least once.
/// Cursors are below 2^40.
pub fn walk<T>(table: &KevyMap<T>, cursor: u64, count: usize, mut each: impl FnMut(&T)) -> u64 {
    let (mut cursor, mut met) = (cursor, 0);
    // Empty stretches count too: a call stays bounded in a sparse table, as in Redis.
    for _ in 0..count.saturating_mul(10).max(1) {
        cursor = table.scan(cursor, |element| {
            met += 1;
            each(element);
        });
        if cursor == 0 || met >= count {
            break;
        }
    }
    cursor
}
