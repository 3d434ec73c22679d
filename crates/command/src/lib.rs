//! kevy-command
