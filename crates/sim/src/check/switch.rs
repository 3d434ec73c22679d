//! Switches of the whole server: once a switch is answered, every shard follows it.

use crate::history::RegisterOp;

/// Versions are switched one after the other, ascending. Whoever looks after version `n` was
/// answered sees at least `n`, and nobody sees a version before it was asked for.
pub(crate) fn check(ops: &[RegisterOp]) -> Result<(), String> {
    for look in ops.iter().filter(|op| !op.write) {
        let switches = || ops.iter().filter(|op| op.write);
        let answered = switches().filter(|op| op.complete < look.invoke).map(|op| op.value).max();
        let asked = switches().filter(|op| op.invoke < look.complete).map(|op| op.value).max();
        if look.value < answered.unwrap_or(0) {
            return Err(format!(
                "a shard followed version {} after {} was answered",
                look.value,
                answered.unwrap_or(0)
            ));
        }
        if look.value > asked.unwrap_or(0) {
            return Err(format!("version {} was seen before it was asked for", look.value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(write: bool, value: u32, invoke: u64, complete: u64) -> RegisterOp {
        RegisterOp { invoke, complete, write, value }
    }

    #[test]
    fn old_and_future_versions_are_seen() {
        let good = [op(true, 1, 1, 5), op(false, 0, 2, 3), op(false, 1, 2, 3), op(false, 1, 6, 7)];
        assert_eq!(check(&good), Ok(()));
        assert!(check(&[op(true, 1, 1, 5), op(false, 0, 6, 7)]).is_err());
        assert!(check(&[op(true, 1, 5, 9), op(false, 1, 1, 2)]).is_err());
    }
}
