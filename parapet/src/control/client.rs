//! The commands' end of the control socket.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::protocol::{Answer, Request};
use super::{ANSWER_BYTES_MAX, PATIENCE};
use crate::failure::Failure;

/// Asks the daemon at the socket.
pub(crate) fn ask(path: &Path, request: &Request) -> Result<Answer, Failure> {
    let stream = UnixStream::connect(path).map_err(|why| match why.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Failure::Runtime(format!(
            "no parapet runs with the control socket {}: start one, or name the right socket with --control or --state",
            path.display()
        )),
        ErrorKind::PermissionDenied => Failure::Runtime(format!(
            "no permission for the control socket {}: ask as the user that parapet runs as, or as root",
            path.display()
        )),
        _ => Failure::Runtime(format!("cannot reach the control socket {}: {why}", path.display())),
    })?;
    let broken = |why: &dyn std::fmt::Display| {
        Failure::Runtime(format!("the daemon at {} did not answer: {why}", path.display()))
    };
    stream.set_read_timeout(Some(request.patience())).map_err(|why| broken(&why))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(|why| broken(&why))?;
    let mut line = serde_json::to_vec(request).map_err(|why| broken(&why))?;
    line.push(b'\n');
    (&stream).write_all(&line).map_err(|why| broken(&why))?;
    let mut answer = Vec::new();
    let read =
        BufReader::new(&stream).take(ANSWER_BYTES_MAX).read_until(b'\n', &mut answer).map_err(|why| broken(&why))?;
    if read == 0 {
        return Err(broken(&"it closed the connection"));
    }
    match serde_json::from_slice(&answer) {
        Ok(Answer::Error(why)) => Err(Failure::runtime(why)),
        Ok(answer) => Ok(answer),
        Err(why) => Err(broken(&why)),
    }
}
