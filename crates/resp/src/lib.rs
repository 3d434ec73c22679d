//! kevy-resp
