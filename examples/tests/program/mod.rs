//! A program of this crate, run as a user would, and what it printed.

use core::time::Duration;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// No program takes this long; one that hangs fails its test.
const HANGS: Duration = Duration::from_secs(600);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Ended {
    ended(program, arguments, |_| {})
}

/// Runs a program whose output nobody reads: its pipe is closed from the start.
pub(crate) fn run_unread(program: &str, arguments: &[&str]) -> Ended {
    ended(program, arguments, |child| drop(child.stdout.take()))
}

fn ended(program: &str, arguments: &[&str], started: impl FnOnce(&mut Child)) -> Ended {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    started(&mut child);
    let id = child.id();
    let (ended, wait) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    let output = wait.recv_timeout(HANGS);
    let output = output.unwrap_or_else(|_| panic!("{program} {arguments:?} hangs, process {id}"));
    let output = output.unwrap();
    let ended = Ended {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    println!("{program} {}: {}", arguments.join(" "), ended.status);
    ended
}

/// A program that goes on until it is ended, which it is when this is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What follows on the first line that begins like this.
    pub(crate) fn line_after(&mut self, beginning: &str) -> String {
        for line in &mut self.lines {
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
        panic!("the program ended without a line `{beginning}…`");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory of one test's own, emptied when it begins.
pub(crate) fn directory(test: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}
