//! kevy-sim
