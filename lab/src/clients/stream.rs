//! One question over TCP, without ever waiting: the connection is looked at when the kernel says that it is ready.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    os::fd::{AsFd, BorrowedFd},
};

use socket2::{Domain, Protocol, Socket, Type};

/// The longest message that the length before it can say, and that length.
const MESSAGE_BYTES_MAX: usize = 65_535 + 2;
/// Read at one time.
const CHUNK_BYTES: usize = 4096;

/// A connection with one question.
pub(super) struct Stream {
    stream: TcpStream,
    /// What is still to be sent.
    output: Vec<u8>,
    input: Vec<u8>,
}

/// How a connection stands.
pub(super) enum Progress {
    /// It goes on.
    Waiting,
    /// The answer, without the length before it.
    Answer(Vec<u8>),
    /// It has come to nothing.
    Failed,
}

impl Stream {
    /// Begin to connect, in the namespace of the current thread.
    pub(super) fn connect(from: Ipv4Addr, to: SocketAddrV4, message: &[u8]) -> io::Result<Stream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        match socket.connect(&SocketAddr::from(to).into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        let output = [&length.to_be_bytes(), message].concat();
        Ok(Stream { stream: socket.into(), output, input: Vec::new() })
    }

    /// Something has happened to it.
    pub(super) fn advance(&mut self) -> Progress {
        match self.send().and_then(|()| self.read()) {
            Ok(true) | Err(ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted) => self.answer(),
            Ok(false) => match self.answer() {
                Progress::Waiting => Progress::Failed,
                answer => answer,
            },
            Err(_) => Progress::Failed,
        }
    }

    /// Whether there is something to be sent yet.
    fn send(&mut self) -> Result<(), ErrorKind> {
        while !self.output.is_empty() {
            let sent = self.stream.write(&self.output).map_err(|error| error.kind())?;
            self.output.drain(..sent.min(self.output.len()));
        }
        Ok(())
    }

    /// Whether there may be more to come.
    fn read(&mut self) -> Result<bool, ErrorKind> {
        let mut chunk = [0; CHUNK_BYTES];
        while self.input.len() < MESSAGE_BYTES_MAX {
            let read = self.stream.read(&mut chunk).map_err(|error| error.kind())?;
            if read == 0 {
                return Ok(false);
            }
            self.input.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
        Ok(true)
    }

    fn answer(&self) -> Progress {
        let Some((length, rest)) = self.input.split_first_chunk::<2>() else { return Progress::Waiting };
        match rest.get(..usize::from(u16::from_be_bytes(*length))) {
            Some(message) => Progress::Answer(message.to_vec()),
            None => Progress::Waiting,
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
