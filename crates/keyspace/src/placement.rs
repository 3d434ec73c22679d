//! Which store a key belongs to, and where in its table it lies.

/// A key with what its look-up needs: the hash is computed once, as the command is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The key itself.
    pub bytes: &'a [u8],
    /// Hash of the whole key: its place in the table.
    pub hash: u64,
    /// The store that the key belongs to.
    pub store: u32,
}

/// How keys are spread over the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    mask: u32,
}

/// The part of a key that decides its store: what stands between the first `{` and the first `}`
/// behind it, if that is not empty, else the whole key. As in Redis Cluster.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = find_brace(key) else { return key };
    let rest = &key[open + 1..];
    match memchr::memchr(b'}', rest) {
        Some(len) if len > 0 => &rest[..len],
        _ => key,
    }
}

/// Where the first `{` is. Most keys are short and have none, so eight bytes are compared at a
/// time; from 64 bytes on the set-up of a vectorised search pays.
#[inline]
fn find_brace(key: &[u8]) -> Option<usize> {
    const BRACES: u64 = u64::from_ne_bytes([b'{'; 8]);
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    if key.len() >= 64 {
        return memchr::memchr(b'{', key);
    }
    // A byte of the word is 0 where the key has a brace; then, and only then, the borrow of the
    // subtraction sets a top bit that was not set.
    let has_brace = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word) ^ BRACES;
        word.wrapping_sub(ONES) & !word & TOPS != 0
    };
    let found = match key.last_chunk() {
        // The last word overlaps the one before it where the length is no multiple of eight.
        Some(last) => key.as_chunks().0.iter().any(has_brace) || has_brace(last),
        None => key.contains(&b'{'),
    };
    if found { memchr::memchr(b'{', key) } else { None }
}

impl Placement {
    /// The largest number of stores: the table relies on the hash bits above these 8.
    pub const MAX_STORES: u32 = 256;

    /// A placement over `stores` stores: a power of two, at most [`MAX_STORES`](Self::MAX_STORES).
    ///
    /// # Panics
    /// For another number: it is the program's, never a client's.
    pub fn new(stores: u32) -> Self {
        assert!(stores.is_power_of_two() && stores <= Self::MAX_STORES, "{stores} stores");
        Placement { mask: stores - 1 }
    }

    /// Number of stores.
    pub fn stores(self) -> u32 {
        self.mask + 1
    }

    /// The key's hash and store. One hash suffices where there is no hash tag.
    #[inline]
    pub fn key(self, bytes: &[u8]) -> Key<'_> {
        let hash = kevy_map::hash(bytes);
        let tag = hash_tag(bytes);
        let placing = if tag.len() == bytes.len() { hash } else { kevy_map::hash(tag) };
        Key { bytes, hash, store: placing as u32 & self.mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_tags_are_those_of_redis_cluster() {
        let cases = [
            ("", ""),
            ("foo", "foo"),
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("{}", "{}"),
            ("{a}b}", "a"),
            ("}{a", "}{a"),
            ("{", "{"),
            ("x}{y}", "y"),
            ("seven..{a}", "a"),
            ("fifteen bytes..{b}", "b"),
            ("no brace in more than eight bytes", "no brace in more than eight bytes"),
            ("{c}{d}eight bytes and more", "c"),
        ];
        for (key, tag) in cases {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
    }

    #[test]
    fn a_tag_decides_the_store_and_the_key_the_place() {
        let placement = Placement::new(64);
        let (a, b) = (placement.key(b"{t}a"), placement.key(b"{t}b"));
        assert_eq!(a.store, b.store);
        assert_eq!(a.store, placement.key(b"t").store);
        assert_ne!(a.hash, b.hash);
        assert_eq!(Placement::new(1).key(b"any").store, 0);
    }

    #[test]
    fn stores_get_about_as_many_keys_each() {
        let placement = Placement::new(4);
        let mut counts = [0_u32; 4];
        for i in 0..40_000 {
            counts[placement.key(format!("key:{i}").as_bytes()).store as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }
}
