//! kevy-tidy
