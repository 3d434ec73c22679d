//! kevy-uring
