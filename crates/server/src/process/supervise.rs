//! Supervision by systemd or upstart.

use nix::sys::signal::{Signal, raise};
use sd_notify::NotifyState;

use crate::config::choices::Supervised;

/// Who waits for the server to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// Nobody.
    None,
    /// systemd, on the socket of `NOTIFY_SOCKET`.
    Systemd,
    /// upstart: the process stops itself once.
    Upstart,
}

impl Supervision {
    /// Decides by `supervised` and the environment.
    pub fn detect(directive: Supervised) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some();
        Self::choose(directive, set("UPSTART_JOB"), set("NOTIFY_SOCKET"))
    }

    fn choose(directive: Supervised, upstart_job: bool, notify_socket: bool) -> Self {
        match directive {
            Supervised::No => Supervision::None,
            Supervised::Auto if upstart_job => Supervision::Upstart,
            Supervised::Auto if notify_socket => Supervision::Systemd,
            Supervised::Auto => Supervision::None,
            Supervised::Upstart if upstart_job => Supervision::Upstart,
            Supervised::Upstart => {
                tracing::warn!(
                    "upstart supervision requested, but UPSTART_JOB not found; ignoring it"
                );
                Supervision::None
            }
            Supervised::Systemd => {
                if !notify_socket {
                    tracing::warn!("systemd supervision requested, but NOTIFY_SOCKET not found");
                }
                Supervision::Systemd
            }
        }
    }

    /// Tells what the server is doing.
    pub fn status(self, text: &str) {
        self.notify(&[NotifyState::Status(text)]);
    }

    /// Tells that clients are served from now on.
    pub fn ready(self) {
        self.notify(&[NotifyState::Ready, NotifyState::Status("Ready to accept connections")]);
        if self == Supervision::Upstart
            && let Err(error) = raise(Signal::SIGSTOP)
        {
            tracing::warn!("Cannot tell upstart that the server is ready: {}", error.desc());
        }
    }

    /// Tells that the server ends.
    pub fn stopping(self) {
        self.notify(&[NotifyState::Stopping, NotifyState::Status("Shutting down")]);
    }

    fn notify(self, state: &[NotifyState<'_>]) {
        if self == Supervision::Systemd
            && let Err(error) = sd_notify::notify(state)
        {
            tracing::warn!("Cannot notify systemd: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_goes_by_the_environment() {
        let cases = [
            (Supervised::No, true, true, Supervision::None),
            (Supervised::Auto, false, false, Supervision::None),
            (Supervised::Auto, false, true, Supervision::Systemd),
            (Supervised::Auto, true, true, Supervision::Upstart),
            (Supervised::Upstart, false, true, Supervision::None),
            (Supervised::Upstart, true, false, Supervision::Upstart),
            (Supervised::Systemd, false, false, Supervision::Systemd),
        ];
        for (directive, upstart_job, notify_socket, expected) in cases {
            assert_eq!(Supervision::choose(directive, upstart_job, notify_socket), expected);
        }
    }
}
