//! Linearizability of one register whose writes all write different values.
//!
//! All operations with one value form its *cluster*. Let `from` be the first completion and `to`
//! the last invocation in it. If `from < to`, the register must have had the value throughout
//! that time (a *forward* zone); otherwise the value can have come and gone at one moment between
//! `to` and `from` (a *backward* zone). There is an order exactly if no two forward zones overlap
//! and no backward zone lies within a forward one (Gibbons and Korach, 1997).

use crate::history::{History, RegisterOp};
use crate::token::Token;
use std::collections::BTreeMap;

/// Looks at the register, unless it was replaced at some time.
pub(crate) fn check(history: &History) -> Result<(), String> {
    if history.register_replaced { Ok(()) } else { linearizable(&history.register) }
}

struct Zone {
    value: Token,
    from: u64,
    to: u64,
}

fn linearizable(ops: &[RegisterOp]) -> Result<(), String> {
    let mut clusters: BTreeMap<Token, Vec<&RegisterOp>> = BTreeMap::new();
    for op in ops {
        clusters.entry(op.value).or_default().push(op);
    }
    let mut zones = Vec::new();
    for (&value, cluster) in &clusters {
        let Some(write) = cluster.iter().find(|op| op.write) else {
            return Err(format!("the register had {value}, which nobody wrote"));
        };
        if cluster.iter().any(|op| !op.write && op.complete < write.invoke) {
            return Err(format!("{value} was read before it was written"));
        }
        if cluster.len() == 1 && write.complete == u64::MAX {
            continue;
        }
        let from = cluster.iter().map(|op| op.complete).min().unwrap_or(u64::MAX);
        let to = cluster.iter().map(|op| op.invoke).max().unwrap_or(0);
        zones.push(Zone { value, from, to });
    }
    let (forward, backward): (Vec<Zone>, Vec<Zone>) =
        zones.into_iter().partition(|zone| zone.from < zone.to);
    for (at, a) in forward.iter().enumerate() {
        for b in &forward[at + 1..] {
            if a.from < b.to && b.from < a.to {
                return Err(format!("{} and {} were there at the same time", a.value, b.value));
            }
        }
        for b in &backward {
            if a.from < b.to && b.from < a.to {
                return Err(format!("{} was written while {} was there", b.value, a.value));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(write: bool, value: Token, invoke: u64, complete: u64) -> RegisterOp {
        RegisterOp { invoke, complete, write, value }
    }

    #[test]
    fn a_good_register_passes() {
        let ops = [op(true, 1, 1, 4), op(true, 2, 2, 6), op(false, 1, 3, 5), op(false, 2, 7, 8)];
        assert_eq!(linearizable(&ops), Ok(()));
    }

    #[test]
    fn a_value_that_comes_back_is_seen() {
        let ops = [op(true, 1, 1, 2), op(true, 2, 3, 4), op(false, 2, 5, 6), op(false, 1, 7, 8)];
        assert!(linearizable(&ops).is_err());
    }

    #[test]
    fn two_values_at_a_time_are_seen() {
        let ops = [
            op(true, 1, 1, 20),
            op(true, 2, 1, 20),
            op(false, 1, 2, 3),
            op(false, 2, 4, 5),
            op(false, 1, 6, 7),
            op(false, 2, 8, 9),
        ];
        assert!(linearizable(&ops).is_err());
    }

    #[test]
    fn values_from_nowhere_and_from_the_future_are_seen() {
        assert!(linearizable(&[op(false, 1, 1, 2)]).is_err());
        assert!(linearizable(&[op(false, 1, 1, 2), op(true, 1, 3, 4)]).is_err());
    }
}
