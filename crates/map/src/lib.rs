//! kevy-map
