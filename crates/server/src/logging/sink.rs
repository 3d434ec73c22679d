//! Where lines go: standard output or a file, at once or through a queue.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::config::choices::LogLevel;

/// Lines that may wait for the writer.
const QUEUE: usize = 4096;

/// Lines are gathered up to this many bytes for one write.
const BATCH: usize = 64 << 10;

/// How long the end of the process waits for the writer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait for room in a full queue before trying again.
const RETRY: Duration = Duration::from_millis(5);

enum Message {
    Line(Vec<u8>),
    /// Answered when all lines before it are written.
    Flush(Sender<()>),
}

#[derive(Debug)]
pub(super) struct Sink {
    target: Target,
    queue: OnceLock<SyncSender<Message>>,
    /// Whether lines go through the queue.
    queueing: AtomicBool,
    dropped: AtomicU64,
    /// Keeps lines that are written at once from being mixed.
    direct: Mutex<()>,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File(PathBuf),
}

impl Sink {
    pub(super) fn open(file: Option<PathBuf>) -> io::Result<Self> {
        let target = match file {
            Some(path) => {
                append_to(&path)?;
                Target::File(path)
            }
            None => Target::Stdout,
        };
        Ok(Self {
            target,
            queue: OnceLock::new(),
            queueing: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            direct: Mutex::new(()),
        })
    }

    /// Writes a line or queues it; never waits for the queue.
    pub(super) fn write(&self, line: Vec<u8>) {
        match self.queue.get() {
            Some(queue) if self.queueing.load(Ordering::Acquire) => {
                match queue.try_send(Message::Line(line)) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                        self.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            _ => self.write_now(&line),
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Nobody can be told that the log cannot be written, so errors end here.
    fn write_now(&self, lines: &[u8]) {
        let _guard = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = match &self.target {
            Target::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines).and_then(|()| stdout.flush())
            }
            // Opened for each write, so that the file may be moved away at any time.
            Target::File(path) => append_to(path).and_then(|mut file| file.write_all(lines)),
        };
    }

    pub(super) fn start_writer(&self, shared: Arc<Shared>) -> io::Result<()> {
        if self.queue.get().is_none() {
            let (sender, receiver) = sync_channel(QUEUE);
            std::thread::Builder::new()
                .name("log".into())
                .spawn(move || run_writer(&shared, &receiver))?;
            // A sender that lost a race ends its own writer, for nobody else holds it.
            let _ = self.queue.set(sender);
        }
        self.queueing.store(true, Ordering::Release);
        Ok(())
    }

    pub(super) fn stop_writer(&self) {
        self.flush();
        self.queueing.store(false, Ordering::Release);
        // Lines that came in between.
        self.flush();
    }

    /// Waits until the writer has written what is queued. After [`PATIENCE`] the rest is lost: the
    /// process must end even if the disk hangs.
    fn flush(&self) {
        let Some(queue) = self.queue.get() else { return };
        let deadline = Instant::now() + PATIENCE;
        let (sender, written) = channel();
        let mut message = Message::Flush(sender);
        while let Err(TrySendError::Full(back)) = queue.try_send(message) {
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(RETRY);
            message = back;
        }
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The thread that writes: gathers what waits, writes it, and says what was lost.
fn run_writer(shared: &Shared, queue: &Receiver<Message>) {
    let mut reported = 0;
    let mut batch = Vec::new();
    while let Ok(first) = queue.recv() {
        let mut flushed = Vec::new();
        for message in std::iter::once(first).chain(queue.try_iter()) {
            match message {
                Message::Line(line) => batch.extend(line),
                Message::Flush(done) => flushed.push(done),
            }
            if batch.len() >= BATCH {
                break;
            }
        }
        let dropped = shared.sink.dropped();
        if dropped > reported {
            let lost = format!("{} log lines were lost: the log is too slow", dropped - reported);
            batch.extend(shared.line(LogLevel::Warning, &lost, &[]));
            reported = dropped;
        }
        shared.sink.write_now(&batch);
        batch.clear();
        for done in flushed {
            // Whoever asked may have given up.
            let _ = done.send(());
        }
    }
}
