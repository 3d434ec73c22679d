//! kevy-shard
