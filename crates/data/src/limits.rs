//! Up to where small values keep their compact encodings.

/// The configuration's thresholds of encodings, under the names of its directives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most fields of a packed hash.
    pub hash_max_listpack_entries: usize,
    /// Longest field or value of a packed hash, in bytes.
    pub hash_max_listpack_value: usize,
    /// Items of a list's node, or if negative its size: -1 for 4 KiB, doubling down to -5.
    pub list_max_listpack_size: i64,
    /// Nodes at each end of a list that stay uncompressed. Kept for `CONFIG`; nothing is compressed.
    pub list_compress_depth: usize,
    /// Most members of a set of integers in one piece.
    pub set_max_intset_entries: usize,
    /// Most members of a packed set.
    pub set_max_listpack_entries: usize,
    /// Longest member of a packed set, in bytes.
    pub set_max_listpack_value: usize,
    /// Most members of a packed sorted set.
    pub zset_max_listpack_entries: usize,
    /// Longest member of a packed sorted set, in bytes.
    pub zset_max_listpack_value: usize,
    /// Bytes of a stream's node; 0: no limit.
    pub stream_node_max_bytes: usize,
    /// Entries of a stream's node; 0: no limit.
    pub stream_node_max_entries: usize,
    /// Bytes of a HyperLogLog in its sparse representation.
    pub hll_sparse_max_bytes: usize,
}

impl Limits {
    /// The defaults of Redis 7.2.
    pub const DEFAULT: Limits = Limits {
        hash_max_listpack_entries: 512,
        hash_max_listpack_value: 64,
        list_max_listpack_size: -2,
        list_compress_depth: 0,
        set_max_intset_entries: 512,
        set_max_listpack_entries: 128,
        set_max_listpack_value: 64,
        zset_max_listpack_entries: 128,
        zset_max_listpack_value: 64,
        stream_node_max_bytes: 4096,
        stream_node_max_entries: 100,
        hll_sparse_max_bytes: 3000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
