//! The checkers. Each reads what was recorded and knows nothing of how the server works.

pub(crate) mod cycle;
pub(crate) mod queue;
pub(crate) mod register;
pub(crate) mod serial;
pub(crate) mod switch;

use crate::history::History;

/// Asks all checkers; the first objection.
pub(crate) fn check(history: &History) -> Result<(), String> {
    serial::check(history)?;
    register::check(history)?;
    queue::check(history)?;
    switch::check(&history.switches)
}
