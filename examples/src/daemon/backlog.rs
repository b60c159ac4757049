//! What waits for a reader who is slower than what happens. The event loop waits for nobody: lines beyond
//! a limit are dropped, and the reader is told how many.

use alloc::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How much may wait before lines are dropped, in octets.
pub const MAX_WAITING: usize = 1 << 20;

/// Octets that wait to be written.
#[derive(Debug, Default)]
pub struct Backlog {
    waiting: VecDeque<u8>,
    dropped: u64,
}

impl Backlog {
    /// What is not dropped: an answer.
    pub fn extend(&mut self, octets: impl IntoIterator<Item = u8>) {
        self.waiting.extend(octets);
    }

    /// A line, without its end, if there is room for it.
    pub fn line(&mut self, line: &str) {
        if self.waiting.len().saturating_add(line.len()) >= MAX_WAITING {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.last_line(line);
    }

    /// A line behind which nothing comes: for it there is room.
    pub fn last_line(&mut self, line: &str) {
        self.tell();
        self.extend(line.bytes().chain([b'\n']));
    }

    /// Where lines are missing, it says how many.
    fn tell(&mut self) {
        let dropped = core::mem::take(&mut self.dropped);
        if dropped > 0 {
            let told = format!("dmvpn: {dropped} lines dropped, the reader is too slow\n");
            self.extend(told.into_bytes());
        }
    }

    /// Whether everything was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.dropped == 0
    }

    /// Writes until nothing is left, or the writer would block.
    ///
    /// # Errors
    ///
    /// Nobody reads any more.
    pub fn write(&mut self, writer: &mut impl Write) -> io::Result<()> {
        loop {
            if self.waiting.is_empty() {
                self.tell();
            }
            let (next, _) = self.waiting.as_slices();
            if next.is_empty() {
                return Ok(());
            }
            match writer.write(next) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A file that others share and expect to block, like standard output: it is not switched to
/// non-blocking, but asked before each write.
#[derive(Debug)]
pub struct Patient<F>(pub F);

impl<F: AsFd + Write> Write for Patient<F> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // What a pipe that is ready takes without blocking (PIPE_BUF).
        const AT_ONCE: usize = 4096;
        if !is_ready(self.0.as_fd())? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let next = octets.get(..octets.len().min(AT_ONCE)).unwrap_or_default();
        self.0.write(next)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether a write would not block; it may fail.
fn is_ready(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;

    #[test]
    fn a_reader_who_stalls_is_told_what_it_missed() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut writer = Patient(File::from(std::os::fd::OwnedFd::from(writer)));
        let mut backlog = Backlog::default();
        let line = "x".repeat(1023);
        // 64 KiB in the pipe, 1 MiB here: the rest is dropped, and nothing blocks.
        for _ in 0..3000 {
            backlog.line(&line);
            backlog.write(&mut writer).unwrap();
        }
        assert!(backlog.waiting.len() <= MAX_WAITING);
        let dropped = backlog.dropped;
        assert!((1800..3000).contains(&dropped), "{dropped}");
        // It reads again, and writing goes on where it stopped.
        let mut read = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while !backlog.is_empty() {
            let length = reader.read(&mut buffer).unwrap();
            read.extend_from_slice(&buffer[..length]);
            backlog.write(&mut writer).unwrap();
        }
        drop(writer);
        reader.read_to_end(&mut read).unwrap();
        let text = String::from_utf8(read).unwrap();
        let told = format!("dmvpn: {dropped} lines dropped, the reader is too slow");
        assert_eq!(text.lines().last(), Some(told.as_str()));
        let whole = text.lines().filter(|read| **read == *line).count();
        assert_eq!(u64::try_from(whole).unwrap() + dropped, 3000);
    }

    #[test]
    fn who_went_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut writer = Patient(File::from(std::os::fd::OwnedFd::from(writer)));
        let mut backlog = Backlog::default();
        backlog.line("nobody reads this");
        assert!(backlog.write(&mut writer).is_err());
    }
}
