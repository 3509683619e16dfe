//! The log's lines on their way out. A thread that logs does not
//! wait for standard error, for which all threads would queue.
//!
//! Lines are gathered for a moment and written together: 1.04 times the registrations a second of lines written one by one, for
//! 0.96 times the CPU time (docs/results/performance-experiments.md). A process that crashes or is killed
//! loses the lines of its last moment, but no error or warning: these are written at once.

use std::{
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long lines are gathered.
const GATHERING: Duration = Duration::from_millis(10);
/// The most octets that wait. A thread that logs more writes them itself, and waits until they are written.
const LIMIT: usize = 1 << 20;

/// Lines that wait to be written to `W`.
pub(super) struct Lines<W> {
    waiting: Mutex<Vec<u8>>,
    some_wait: Condvar,
    out: Mutex<Out<W>>,
}

struct Out<W> {
    stream: W,
    /// The lines that are being written; empty otherwise.
    lines: Vec<u8>,
}

/// The writer that adds lines to [`Lines`].
pub(super) struct Entrance<W>(pub(super) Arc<Lines<W>>);

impl<W: Write + Send + 'static> Lines<W> {
    pub(super) fn new(stream: W) -> Self {
        let out = Mutex::new(Out { stream, lines: Vec::new() });
        Self { waiting: Mutex::default(), some_wait: Condvar::new(), out }
    }

    /// Writes lines from now on, in a thread of its own that lives as long as the process.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub(super) fn keep_writing(self: Arc<Self>) -> std::io::Result<thread::JoinHandle<()>> {
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                let waiting = self.waiting();
                drop(self.some_wait.wait_while(waiting, |lines| lines.is_empty()));
                thread::sleep(GATHERING);
                self.write_all();
            }
        })
    }

    /// Writes the lines that wait, in their order.
    pub(super) fn write_all(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { stream, lines } = &mut *out;
        std::mem::swap(lines, &mut self.waiting());
        // If standard error is closed, there is no other place to say so.
        let _ = stream.write_all(lines);
        lines.clear();
    }

    fn put(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(line);
        let is_full = waiting.len() > LIMIT;
        drop(waiting);
        if is_full {
            self.write_all();
        } else if is_first {
            self.some_wait.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send + 'static> Write for Entrance<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    /// Does nothing, because it is called after each line.
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};

    /// Reports each write, and ends it only when told to.
    struct Stream(Sender<Vec<u8>>, Receiver<()>);

    impl Write for Stream {
        fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
            self.0.send(lines.to_vec()).unwrap();
            self.1.recv().unwrap();
            Ok(lines.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn stalling() -> (Arc<Lines<Stream>>, Receiver<Vec<u8>>, SyncSender<()>) {
        let ((tell, written), (go_on, told)) = (channel(), sync_channel(100));
        (Arc::new(Lines::new(Stream(tell, told))), written, go_on)
    }

    #[test]
    fn logging_does_not_wait_for_a_stalled_stream_and_all_lines_come_in_order() {
        let (lines, written, go_on) = stalling();
        Arc::clone(&lines).keep_writing().unwrap();
        lines.put(b"1\n");
        assert_eq!(written.recv().unwrap(), b"1\n");
        // From here on the stream stalls.
        lines.put(b"2\n");
        lines.put(b"3\n");
        go_on.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"2\n3\n");
        go_on.send(()).unwrap();
    }

    #[test]
    fn all_that_waits_is_written_when_the_service_ends() {
        let (lines, written, go_on) = stalling();
        Arc::clone(&lines).keep_writing().unwrap();
        go_on.send(()).unwrap();
        lines.put(b"the last one\n");
        lines.write_all();
        assert_eq!(written.try_recv().unwrap(), b"the last one\n");
    }

    #[test]
    fn no_more_than_the_limit_waits() {
        let (lines, written, go_on) = stalling();
        lines.put(&vec![b'x'; LIMIT]);
        assert!(written.try_recv().is_err());
        let logging = thread::spawn({
            let lines = Arc::clone(&lines);
            move || lines.put(b"y\n")
        });
        assert_eq!(written.recv().unwrap().len(), LIMIT + 2);
        assert!(!logging.is_finished(), "it waits");
        go_on.send(()).unwrap();
        logging.join().unwrap();
        assert_eq!(written.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    }
}
