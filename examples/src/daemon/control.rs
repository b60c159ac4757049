//! The control socket: one request a connection.
//!
//! A client sends one line, the words of a command, at most [`MAX_REQUEST`] octets. The answer starts
//! with a line of its own, `ok` or `refused`; what follows, to the end, is the text. `debug` goes on
//! until the client closes.

use alloc::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dmvpn_core::debug::Debug;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use super::backlog::Backlog;

/// The longest request, in octets.
pub const MAX_REQUEST: usize = 1024;
/// Connections at the same time; the oldest gives way.
const MAX_CONNECTIONS: usize = 32;

const OK: &str = "ok\n";
const REFUSED: &str = "refused\n";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another daemon answers there.
    #[error("{}: another daemon is running there", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{}: there is a file, which is no socket", .0.display())]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// The daemon's half.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    connections: BTreeMap<Token, Connection>,
    next: usize,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    request: Vec<u8>,
    answer: Backlog,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The request is not complete.
    Asking,
    /// The answer is, and the connection ends with it.
    Answered,
    /// What happens is written as it happens.
    Debugging(Debug),
}

impl Control {
    /// Listens. A socket that a daemon left behind is replaced; only the user who runs the daemon
    /// can connect.
    ///
    /// # Errors
    ///
    /// [`ListenError`].
    pub fn listen(path: &Path, registry: &Registry, token: Token) -> Result<Self, ListenError> {
        let failed = |error| ListenError::Io { path: path.to_owned(), error };
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(ListenError::InUse(path.to_owned())),
            // A plain file refuses, too, and is not ours to remove.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                if !std::fs::symlink_metadata(path).map_err(failed)?.file_type().is_socket() {
                    return Err(ListenError::NoSocket(path.to_owned()));
                }
                std::fs::remove_file(path).map_err(failed)?;
            }
            // Nothing there. What else is wrong, binding will say.
            Err(_) => {}
        }
        // Restricted from the first moment on: the file is made with the mask.
        let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(path);
        nix::sys::stat::umask(mask);
        let mut listener = bound.map_err(failed)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(failed)?;
        registry.register(&mut listener, token, Interest::READABLE).map_err(failed)?;
        let next = token.0 + 1;
        Ok(Self { listener, path: path.to_owned(), connections: BTreeMap::new(), next })
    }

    /// Accepts whoever connects. Connections get the tokens behind the listener's.
    pub fn accept(&mut self, registry: &Registry) {
        // Of a connection that broke off before it was accepted nothing is left to do.
        while let Ok((mut stream, _)) = self.listener.accept() {
            if self.connections.len() >= MAX_CONNECTIONS
                && let Some(oldest) = self.connections.keys().next().copied()
            {
                self.connections.remove(&oldest);
            }
            let token = Token(self.next);
            self.next = self.next.saturating_add(1);
            // Where the system has no room for another, the router goes on without it.
            let interest = Interest::READABLE | Interest::WRITABLE;
            if registry.register(&mut stream, token, interest).is_err() {
                continue;
            }
            let (request, answer, state) = (Vec::new(), Backlog::default(), State::Asking);
            self.connections.insert(token, Connection { stream, request, answer, state });
        }
    }

    /// A connection is ready: the request, once it is complete.
    pub fn ready(&mut self, token: Token) -> Option<String> {
        let connection = self.connections.get_mut(&token)?;
        let mut request = None;
        match connection.read() {
            Ok(Some(line)) => request = Some(line),
            Ok(None) => {}
            Err(_) => {
                self.connections.remove(&token);
                return None;
            }
        }
        self.write(token);
        request
    }

    /// The answer to a request.
    pub fn answer(&mut self, token: Token, answer: Result<String, String>) {
        if let Some(connection) = self.connections.get_mut(&token) {
            let (status, text) = match &answer {
                Ok(text) => (OK, text),
                Err(text) => (REFUSED, text),
            };
            connection.answer.extend(status.bytes().chain(text.bytes()));
            connection.state = State::Answered;
            self.write(token);
        }
    }

    /// A request for debug output.
    pub fn debug(&mut self, token: Token, debug: Debug) {
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.answer.extend(OK.bytes());
            connection.state = State::Debugging(debug);
            self.write(token);
        }
    }

    /// `undebug all`: whoever debugs is told that this is all; how many they were.
    pub fn undebug(&mut self) -> usize {
        let debugging = |connection: &Connection| matches!(connection.state, State::Debugging(_));
        let readers: Vec<Token> = self
            .connections
            .iter()
            .filter(|(_, connection)| debugging(connection))
            .map(|(token, _)| *token)
            .collect();
        for token in &readers {
            if let Some(connection) = self.connections.get_mut(token) {
                connection.answer.last_line("dmvpn: debugging was turned off");
                connection.state = State::Answered;
            }
            self.write(*token);
        }
        readers.len()
    }

    /// Something happened: whoever debugs it reads `text`, which is made only for a reader.
    pub fn traced(&mut self, traced: &dmvpn_core::trace::Traced, text: &dyn Fn() -> String) {
        let debugging: Vec<Token> = self
            .connections
            .iter()
            .filter(|(_, connection)| match &connection.state {
                State::Debugging(debug) => debug.shows(traced),
                State::Asking | State::Answered => false,
            })
            .map(|(token, _)| *token)
            .collect();
        for token in debugging {
            if let Some(connection) = self.connections.get_mut(&token) {
                connection.answer.line(&text());
            }
            self.write(token);
        }
    }

    fn write(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let ended = match connection.answer.write(&mut connection.stream) {
            Ok(()) => connection.answer.is_empty() && matches!(connection.state, State::Answered),
            Err(_) => true,
        };
        if ended {
            self.connections.remove(&token);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A user without rights in the directory leaves it to the next daemon to remove.
        let _optional = std::fs::remove_file(&self.path);
    }
}

impl Connection {
    /// Reads what is there: the request, once; an error when the connection is over.
    fn read(&mut self) -> io::Result<Option<String>> {
        let mut buffer = [0; MAX_REQUEST];
        loop {
            match self.stream.read(&mut buffer) {
                // Whoever asked still reads; whoever debugs has had enough.
                Ok(0) if matches!(self.state, State::Answered) => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    // One request a connection: who goes on talking would keep us listening.
                    if !matches!(self.state, State::Asking) {
                        return Err(ErrorKind::InvalidData.into());
                    }
                    self.request.extend(buffer.iter().take(length));
                    match request(&self.request) {
                        Request::Incomplete => {}
                        Request::Line(line) => return Ok(Some(line)),
                        Request::Malformed(why) => {
                            self.answer.extend(REFUSED.bytes().chain(why.bytes()));
                            self.state = State::Answered;
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the octets of a connection are so far.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Incomplete,
    Line(String),
    Malformed(&'static str),
}

fn request(octets: &[u8]) -> Request {
    let end = octets.iter().position(|octet| *octet == b'\n');
    match end {
        None if octets.len() > MAX_REQUEST => Request::Malformed("the request is too long"),
        None => Request::Incomplete,
        Some(end) if end > MAX_REQUEST => Request::Malformed("the request is too long"),
        Some(end) if end + 1 < octets.len() => Request::Malformed("a request is one line"),
        Some(end) => match core::str::from_utf8(octets.get(..end).unwrap_or_default()) {
            Ok(line) if !line.contains(char::is_control) => Request::Line(line.to_owned()),
            _ => Request::Malformed("the request is no text"),
        },
    }
}

/// The client's half: what a daemon answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did.
    Ok,
    /// It did not.
    Refused,
}

/// Asks a daemon, and copies what it answers as it comes: to `out`, or to `err` if it refuses.
///
/// # Errors
///
/// There is no daemon, or it broke off.
pub fn ask<'a>(
    path: &Path,
    words: &[String],
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
) -> io::Result<Answer> {
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    let line = words.join(" ").replace('\n', " ");
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut status = Vec::new();
    let mut octet = [0];
    while !status.ends_with(b"\n") {
        if stream.read(&mut octet)? == 0 || status.len() > REFUSED.len() {
            return Err(io::Error::new(ErrorKind::InvalidData, "that is no daemon of ours"));
        }
        status.extend(octet);
    }
    let (answer, to) = match status.as_slice() {
        status if status == OK.as_bytes() => (Answer::Ok, out),
        status if status == REFUSED.as_bytes() => (Answer::Refused, err),
        _ => return Err(io::Error::new(ErrorKind::InvalidData, "that is no daemon of ours")),
    };
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(answer);
        }
        to.write_all(buffer.get(..length).unwrap_or_default())?;
        to.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_a_line_of_text() {
        let line = b"show dmvpn detail\n";
        for length in 0..line.len() {
            assert_eq!(request(&line[..length]), Request::Incomplete);
        }
        assert_eq!(request(line), Request::Line("show dmvpn detail".into()));
        assert_eq!(request(b"show\xff\n"), Request::Malformed("the request is no text"));
        assert_eq!(request(b"show\0\n"), Request::Malformed("the request is no text"));
        let long = [b'a'; MAX_REQUEST + 1];
        assert_eq!(request(&long), Request::Malformed("the request is too long"));
        assert_eq!(request(&long[..MAX_REQUEST]), Request::Incomplete);
    }

    /// A control socket of its own, and a directory that goes with it.
    struct Place {
        poll: mio::Poll,
        directory: PathBuf,
    }

    impl Place {
        fn new(name: &str) -> Self {
            let directory =
                std::env::temp_dir().join(format!("dmvpn-control-{name}-{}", std::process::id()));
            std::fs::create_dir(&directory).unwrap();
            Self { poll: mio::Poll::new().unwrap(), directory }
        }

        fn listen(&self) -> Result<Control, ListenError> {
            Control::listen(&self.directory.join("control"), self.poll.registry(), Token(7))
        }

        /// A client that sent this, with its token at the daemon.
        fn ask(
            &self,
            control: &mut Control,
            octets: &[u8],
        ) -> (std::os::unix::net::UnixStream, Token) {
            let path = self.directory.join("control");
            let mut client = std::os::unix::net::UnixStream::connect(path).unwrap();
            client.write_all(octets).unwrap();
            control.accept(self.poll.registry());
            (client, Token(control.next - 1))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _left = std::fs::remove_dir_all(&self.directory);
        }
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let place = Place::new("file");
        let path = place.directory.join("control");
        std::fs::write(&path, "somebody's").unwrap();
        assert!(matches!(place.listen(), Err(ListenError::NoSocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"somebody's");
    }

    #[test]
    fn a_socket_that_was_left_behind_is_replaced_and_one_that_answers_is_not() {
        let place = Place::new("left");
        let path = place.directory.join("control");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let control = place.listen().unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(place.listen(), Err(ListenError::InUse(_))));
        drop(control);
        assert!(!path.exists());
    }

    #[test]
    fn who_goes_on_talking_after_the_request_is_given_up() {
        let place = Place::new("talks");
        let mut control = place.listen().unwrap();
        let (mut client, token) = place.ask(&mut control, b"debug\nand more of it\n");
        assert_eq!(control.ready(token), None);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "refused\na request is one line");
        let (mut polite, token) = place.ask(&mut control, b"debug\n");
        assert_eq!(control.ready(token).as_deref(), Some("debug"));
        control.debug(token, Debug::dmvpn_all());
        assert_eq!(control.connections.len(), 1);
        polite.write_all(b"x").unwrap();
        assert_eq!(control.ready(token), None);
        assert!(control.connections.is_empty());
    }

    #[test]
    fn undebug_ends_whoever_debugs_and_nobody_else() {
        let place = Place::new("undebug");
        let mut control = place.listen().unwrap();
        let (mut reader, token) = place.ask(&mut control, b"debug\n");
        control.ready(token);
        control.debug(token, Debug::dmvpn_all());
        let (_asking, other) = place.ask(&mut control, b"show");
        assert_eq!(control.undebug(), 1);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "ok\ndmvpn: debugging was turned off\n");
        assert_eq!(control.connections.keys().collect::<Vec<_>>(), [&other]);
        assert_eq!(control.undebug(), 0);
    }

    #[test]
    fn a_reader_of_debug_who_stalls_blocks_nobody_and_misses_lines() {
        use dmvpn_core::trace::{Record, System, Traced};
        let place = Place::new("stalls");
        let mut control = place.listen().unwrap();
        let (mut reader, token) = place.ask(&mut control, b"debug\n");
        control.ready(token);
        control.debug(token, Debug::dmvpn_all());
        let tunnel = dmvpn_core::TunnelId(0);
        let record = Record::System(System::Link { tunnel, up: true });
        let traced = Traced { at: Default::default(), record };
        for number in 0..3000 {
            control.traced(&traced, &|| format!("{number:01023}"));
        }
        control.undebug();
        // It reads again: what waits is written as there is room.
        let mut text = String::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = reader.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            text += core::str::from_utf8(&buffer[..length]).unwrap();
            control.write(token);
        }
        let lines = text.lines().filter(|line| line.len() == 1023).count();
        assert!((1000..2000).contains(&lines), "{lines}");
        let told = format!("dmvpn: {} lines dropped, the reader is too slow", 3000 - lines);
        let last: Vec<&str> = text.lines().rev().take(2).collect();
        assert_eq!(last, ["dmvpn: debugging was turned off", &told]);
    }

    #[test]
    fn the_oldest_gives_way_to_whoever_is_one_too_many() {
        let place = Place::new("many");
        let mut control = place.listen().unwrap();
        let clients: Vec<_> = (0..=MAX_CONNECTIONS).map(|_| place.ask(&mut control, b"")).collect();
        assert_eq!(control.connections.len(), MAX_CONNECTIONS);
        assert!(!control.connections.contains_key(&clients[0].1));
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _either = request(&octets);
        }
    }
}
