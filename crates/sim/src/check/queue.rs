//! Queues: every element that was pushed is popped once or still there, nobody is passed over,
//! and nobody who waits misses what is there.
//!
//! An answered operation happened between its invocation and its completion; a lost one happened
//! or not. A client *surely waits* from the step in which the server said so until an element for
//! it is pushed or its time is up.

use crate::history::{End, History, Key, QueueOp, QueueWork};
use crate::token::Token;
use std::collections::BTreeMap;

/// Where an element came from, and who took it.
#[derive(Default)]
struct Life<'a> {
    /// The operation that pushed it, its key, and its place among those pushed together.
    push: Option<(&'a QueueOp, Key, usize)>,
    takers: Vec<&'a QueueOp>,
}

pub(crate) fn check(history: &History) -> Result<(), String> {
    let lives = lives(&history.queue)?;
    balance(history, &lives)?;
    nobody_misses(history, &lives)?;
    nobody_is_passed_over(&history.queue, &lives)
}

fn lives(ops: &[QueueOp]) -> Result<BTreeMap<Token, Life<'_>>, String> {
    let mut lives: BTreeMap<Token, Life<'_>> = BTreeMap::new();
    for op in ops {
        if let QueueWork::Push(pushed) = &op.work {
            for (at, &(key, token)) in pushed.iter().enumerate() {
                lives.entry(token).or_default().push = Some((op, key, at));
            }
        }
    }
    for op in ops {
        let Some((key, token)) = op.got() else { continue };
        let life = lives.entry(token).or_default();
        let Some((push, ..)) = life.push else {
            return Err(format!("{token} was popped from {key} and never pushed"));
        };
        if op.complete < push.invoke {
            return Err(format!("{token} was popped before it was pushed"));
        }
        life.takers.push(op);
    }
    Ok(lives)
}

/// Into each queue an element came as often as it went out of it or is still there.
fn balance(history: &History, lives: &BTreeMap<Token, Life<'_>>) -> Result<(), String> {
    let lost = |op: &&QueueOp| op.end == End::Lost && matches!(op.work, QueueWork::Pop { .. });
    let forgiven = history.queue.iter().filter(lost).count();
    let mut missing = 0;
    for (&token, life) in lives {
        let Some((push, key, _)) = life.push else { continue };
        let mut there: BTreeMap<Key, i64> = BTreeMap::from([(key, 1)]);
        for taker in &life.takers {
            if let (Some((from, _)), QueueWork::Pop { to, .. }) = (taker.got(), &taker.work) {
                *there.entry(from).or_default() -= 1;
                if let Some(to) = to {
                    *there.entry(*to).or_default() += 1;
                }
            }
        }
        for (&key, rest) in &history.rest {
            let left = rest.iter().filter(|&&other| other == token).count();
            *there.entry(key).or_default() -= left as i64;
        }
        let popped = life.takers.iter().filter(|op| op.pops()).count();
        if popped > 1 {
            return Err(format!("{token} was popped {popped} times"));
        }
        let wrong: i64 = there.values().map(|count| count.abs()).sum();
        let pushed = push.end == End::Done || popped > 0;
        if wrong > 0 && pushed {
            if forgiven == 0 {
                return Err(format!("{token} came and went unevenly: {there:?}"));
            }
            missing += 1;
        }
    }
    if missing > forgiven {
        return Err(format!("{missing} elements went astray, {forgiven} pops were lost"));
    }
    Ok(())
}

/// Who was told that nothing is there was not told so while something surely was.
fn nobody_misses(history: &History, lives: &BTreeMap<Token, Life<'_>>) -> Result<(), String> {
    for op in &history.queue {
        let QueueWork::Pop { keys, got: None, .. } = &op.work else { continue };
        if op.end != End::Done {
            continue;
        }
        for (&token, life) in lives {
            let Some((push, key, _)) = life.push else { continue };
            if strays(history, key) {
                continue;
            }
            let later =
                |taker: &&QueueOp| taker.invoke > op.complete && taker.got() == Some((key, token));
            let stays = life.takers.iter().all(later)
                && (!life.takers.is_empty() || is_left(history, key, token));
            // One that needs another store too keeps its place in front of those behind it.
            let halted = op.moves() || history.queue.iter().any(|other| halts(other, op, key));
            let in_time = op.deadline_ms().is_some_and(|deadline| push.complete_ms < deadline);
            let before =
                push.end == End::Done && (push.complete < op.invoke || (in_time && !halted));
            if keys.contains(&key) && stays && before {
                return Err(format!("{token} was in {key} when nothing was found: {op:?}"));
            }
        }
    }
    Ok(())
}

/// Whether `op` may stand behind `other` in the line of a queue while that gathers its stores.
fn halts(other: &QueueOp, op: &QueueOp, key: Key) -> bool {
    let meets = other.invoke < op.complete && op.invoke < other.complete;
    other.moves() && meets && other.only_key() == Some(key)
}

/// Whether an element may have been moved out of a queue by somebody who never told.
fn strays(history: &History, key: Key) -> bool {
    let lost = |op: &QueueOp| op.end == End::Lost && op.moves() && op.only_key() == Some(key);
    history.queue.iter().any(lost)
}

fn is_left(history: &History, key: Key, token: Token) -> bool {
    history.rest.get(&key).is_some_and(|rest| rest.contains(&token))
}

/// Of two clients that wait for one queue, the first is served first.
fn nobody_is_passed_over(ops: &[QueueOp], lives: &BTreeMap<Token, Life<'_>>) -> Result<(), String> {
    for first in ops.iter().filter(|op| op.end == End::Done) {
        let (Some(since), Some(key)) = (first.waited, first.only_key()) else { continue };
        for second in ops.iter().filter(|op| op.invoke > since && op.only_key() == Some(key)) {
            let Some((_, token)) = second.got() else { continue };
            let Some(Life { push: Some((push, from, at)), takers }) = lives.get(&token) else {
                continue;
            };
            if *from != key || takers.len() != 1 {
                continue;
            }
            // A pop that does not wait may pass one that needs another store too.
            if first.moves() && second.waited.is_none_or(|waited| waited >= push.invoke) {
                continue;
            }
            if passed(first, second, (push, *at), lives) {
                return Err(format!("{first:?} was passed over by {second:?}"));
            }
        }
    }
    Ok(())
}

/// Whether `second` was given its element while `first` surely waited.
fn passed(
    first: &QueueOp,
    second: &QueueOp,
    (push, at): (&QueueOp, usize),
    lives: &BTreeMap<Token, Life<'_>>,
) -> bool {
    let Some((_, token)) = first.got() else {
        return first.deadline_ms().is_some_and(|deadline| second.complete_ms < deadline);
    };
    let Some(Life { push: Some((own, _, own_at)), takers }) = lives.get(&token) else {
        return false;
    };
    takers.len() == 1
        && (push.complete < own.invoke
            || second.complete < own.invoke
            || (std::ptr::eq(push, *own) && at < *own_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(invoke: u64, complete: u64, work: QueueWork) -> QueueOp {
        QueueOp {
            invoke,
            complete,
            invoke_ms: invoke as i64,
            complete_ms: complete as i64,
            end: End::Done,
            waited: None,
            unblocked: false,
            work,
        }
    }

    fn push(invoke: u64, complete: u64, tokens: &[Token]) -> QueueOp {
        op(invoke, complete, QueueWork::Push(tokens.iter().map(|&token| (0, token)).collect()))
    }

    fn pop(invoke: u64, complete: u64, got: Option<Token>) -> QueueOp {
        let got = got.map(|token| (0, token));
        let work = QueueWork::Pop { keys: vec![0], wait_ms: Some(100), to: None, got };
        QueueOp { waited: Some(invoke + 1), ..op(invoke, complete, work) }
    }

    fn judge(queue: Vec<QueueOp>, rest: &[Token]) -> Result<(), String> {
        let rest = BTreeMap::from([(0, rest.to_vec())]);
        check(&History { queue, rest, ..History::default() })
    }

    #[test]
    fn elements_are_popped_once_or_left() {
        let pushed = || push(1, 2, &[7, 8]);
        assert_eq!(judge(vec![pushed(), pop(3, 4, Some(7))], &[8]), Ok(()));
        assert!(judge(vec![pushed(), pop(3, 4, Some(7))], &[]).is_err());
        assert!(judge(vec![pushed(), pop(3, 4, Some(7))], &[7, 8]).is_err());
        assert!(judge(vec![pushed(), pop(3, 4, Some(7)), pop(3, 5, Some(7))], &[8]).is_err());
        assert!(judge(vec![pop(3, 4, Some(7))], &[]).is_err());
        let lost = QueueOp { end: End::Lost, ..pop(3, u64::MAX, None) };
        assert_eq!(judge(vec![pushed(), lost.clone()], &[8]), Ok(()));
        assert!(judge(vec![pushed(), lost], &[]).is_err());
        let moved = |to| {
            let got = Some((0, 7));
            op(3, 4, QueueWork::Pop { keys: vec![0], wait_ms: None, to: Some(to), got })
        };
        assert_eq!(judge(vec![push(1, 2, &[7]), moved(0)], &[7]), Ok(()));
        assert!(judge(vec![push(1, 2, &[7]), moved(1)], &[7]).is_err());
    }

    #[test]
    fn what_is_there_is_found() {
        assert!(judge(vec![push(1, 2, &[7]), pop(3, 104, None)], &[7]).is_err());
        assert!(judge(vec![push(50, 60, &[7]), pop(3, 104, None)], &[7]).is_err());
        assert_eq!(judge(vec![push(50, 104, &[7]), pop(3, 104, None)], &[7]), Ok(()));
        let unblocked = QueueOp { unblocked: true, ..pop(3, 50, None) };
        assert_eq!(judge(vec![push(40, 45, &[7]), unblocked], &[7]), Ok(()));
    }

    #[test]
    fn who_waits_longer_is_served_first() {
        let pushes = || [push(20, 21, &[7]), push(30, 31, &[8])];
        let judge_two = |one, two| judge(pushes().into_iter().chain([one, two]).collect(), &[]);
        assert_eq!(judge_two(pop(1, 25, Some(7)), pop(5, 35, Some(8))), Ok(()));
        assert!(judge_two(pop(1, 35, Some(8)), pop(5, 25, Some(7))).is_err());
        // Nobody knows who waited first.
        assert_eq!(judge_two(pop(1, 35, Some(8)), pop(2, 25, Some(7))), Ok(()));
        let together = |one, two| judge(vec![push(20, 21, &[7, 8]), one, two], &[]);
        assert!(together(pop(1, 35, Some(8)), pop(5, 25, Some(7))).is_err());
        assert!(
            judge(vec![push(20, 21, &[7]), pop(1, 101, None), pop(5, 25, Some(7))], &[]).is_err()
        );
    }
}
