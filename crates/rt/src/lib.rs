//! kevy-rt
