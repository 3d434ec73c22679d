//! The limit of open files, and how many clients it allows.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::choices::LogLevel;
use crate::config::load::Note;

/// Descriptors that are not clients: standard streams, listeners, log, data files.
const RESERVED: u64 = 32;

/// Descriptors of a shard that are not clients: ring or epoll, wake-ups, listeners.
const RESERVED_PER_SHARD: u64 = 4;

/// What the limit of open files allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// Clients, at most as many as asked for.
    pub maxclients: u32,
    /// Lines for the log about what had to be changed.
    pub notes: Vec<Note>,
}

/// Raises the limit of open files so that `maxclients` connections and what the server needs itself
/// fit, as far as the system lets it.
///
/// # Errors
/// If not even one client would fit; the text is for the log.
pub fn raise_open_files(maxclients: u32, shards: usize) -> Result<OpenFiles, String> {
    let reserved = RESERVED + RESERVED_PER_SHARD * shards as u64;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) => raise(maxclients, reserved, soft, |limit| {
            setrlimit(Resource::RLIMIT_NOFILE, limit, hard.max(limit))
        }),
        Err(error) => {
            let text = format!(
                "Unable to obtain the current NOFILE limit ({}), assuming 1024 and setting the max \
                 clients configuration accordingly.",
                error.desc()
            );
            let assumed = u32::try_from(1024_u64.saturating_sub(reserved).max(1)).unwrap_or(1);
            let notes = vec![Note { level: LogLevel::Warning, text }];
            Ok(OpenFiles { maxclients: maxclients.min(assumed), notes })
        }
    }
}

/// Finds the greatest limit up to the wanted one that `set` accepts.
fn raise(
    maxclients: u32,
    reserved: u64,
    current: u64,
    mut set: impl FnMut(u64) -> Result<(), Errno>,
) -> Result<OpenFiles, String> {
    let wanted = u64::from(maxclients) + reserved;
    if current >= wanted {
        return Ok(OpenFiles { maxclients, notes: Vec::new() });
    }
    let (limit, refusal) = greatest_accepted(current, wanted, &mut set);
    let Some(refusal) = refusal else {
        let text = format!(
            "Increased maximum number of open files to {wanted} (it was originally set to {current})."
        );
        return Ok(OpenFiles { maxclients, notes: vec![Note { level: LogLevel::Notice, text }] });
    };
    if limit <= reserved {
        return Err(format!(
            "Your current 'ulimit -n' of {current} is not enough for the server to start. Please \
             increase your open file limit to at least {wanted}. Exiting."
        ));
    }
    let reduced = u32::try_from(limit - reserved).unwrap_or(u32::MAX).min(maxclients);
    let notes = [
        format!(
            "You requested maxclients of {maxclients} requiring at least {wanted} max file descriptors."
        ),
        format!(
            "Server can't set maximum open files to {wanted} because of OS error: {}.",
            refusal.desc()
        ),
        format!(
            "Current maximum open files is {limit}. maxclients has been reduced to {reduced} to \
             compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
        ),
    ];
    let notes = notes.map(|text| Note { level: LogLevel::Warning, text }).into();
    Ok(OpenFiles { maxclients: reduced, notes })
}

/// Sets the greatest limit above `current` and up to `wanted` that is accepted, knowing that whoever
/// accepts one accepts all lower ones. Returns the limit that holds then, and why not `wanted`.
fn greatest_accepted(
    current: u64,
    wanted: u64,
    set: &mut impl FnMut(u64) -> Result<(), Errno>,
) -> (u64, Option<Errno>) {
    let Err(mut refusal) = set(wanted) else { return (wanted, None) };
    // The limit `accepted` holds, `refused` was refused.
    let (mut accepted, mut refused) = (current, wanted);
    while refused - accepted > 1 {
        let middle = accepted + (refused - accepted) / 2;
        match set(middle) {
            Ok(()) => accepted = middle,
            Err(error) => (refused, refusal) = (middle, error),
        }
    }
    (accepted, Some(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_needed_and_possible() {
        let up_to =
            |hard: u64| move |limit: u64| if limit <= hard { Ok(()) } else { Err(Errno::EPERM) };
        let enough = raise(100, 32, 1024, |_| panic!("not needed")).unwrap();
        assert_eq!(enough, OpenFiles { maxclients: 100, notes: vec![] });

        let raised = raise(10_000, 32, 1024, up_to(20_000)).unwrap();
        assert_eq!((raised.maxclients, raised.notes.len()), (10_000, 1));

        let reduced = raise(10_000, 32, 1024, up_to(4096)).unwrap();
        assert_eq!(reduced.notes.len(), 3);
        assert_eq!(reduced.maxclients, 4096 - 32);

        let unchanged = raise(10_000, 32, 1024, up_to(0)).unwrap();
        assert_eq!(unchanged.maxclients, 1024 - 32);
        assert!(raise(10_000, 32, 20, up_to(0)).is_err());
    }
}
