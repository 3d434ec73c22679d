//! kevy-data
