//! kevy-keyspace
