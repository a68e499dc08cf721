//! The daemon's end of the control socket.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, chown};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::protocol::{Answer, Request};
use super::{CLIENTS_MAX, PATIENCE, REQUEST_BYTES_MAX};
use crate::failure::Failure;

/// Pause after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// An answer that may take work.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Answers requests.
pub(crate) trait Answers: Send + Sync + 'static {
    /// The answer, within [`super::WORK_MAX`].
    fn answer(&self, request: Request) -> Answering<'_>;
}

/// The bound socket; its file goes when this goes.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// Binds the socket for its owner alone. One that a dead daemon left is replaced; a living one is an error.
pub(crate) fn bind(path: &Path, user: Option<&User>) -> Result<ControlSocket, Failure> {
    let failure = |why: &dyn std::fmt::Display| {
        Failure::Runtime(format!(
            "cannot make the control socket {} ({why}): name a path in a folder that exists and that this user may write to",
            path.display()
        ))
    };
    remove_stale(path)?;
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
    {
        fs::create_dir_all(folder).map_err(|why| failure(&why))?;
    }
    // The mode must hold from the first moment, and no other thread runs yet.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound.map_err(|why| failure(&why))?;
    let socket = ControlSocket { listener, path: path.to_owned() };
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid)).map_err(|why| failure(&why))?;
    }
    socket.listener.set_nonblocking(true).map_err(|why| failure(&why))?;
    Ok(socket)
}

fn remove_stale(path: &Path) -> Result<(), Failure> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        let path = path.display();
        return Err(Failure::Runtime(format!(
            "{path} stands where the control socket should: move it, or name another path"
        )));
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            let path = path.display();
            Err(Failure::Runtime(format!("another parapet answers at {path}: stop it, or name another control socket")))
        }
        Err(why) if why.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(|why| {
            Failure::Runtime(format!(
                "cannot remove the control socket {} that is left over ({why}): remove it",
                path.display()
            ))
        }),
        Err(why) => Err(Failure::Runtime(format!("cannot tell who has the control socket {} ({why})", path.display()))),
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Without the right to it, it stays behind as a stale one, and the next start replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves the socket until the task is dropped.
pub(crate) async fn serve(socket: ControlSocket, answers: Arc<dyn Answers>) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(socket.listener.try_clone()?)?;
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&clients).acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    if let Err(why) = converse(stream, &*answers).await {
                        tracing::debug!(%why, "a control client went away");
                    }
                    drop(permit);
                });
            }
            Err(why) => {
                tracing::warn!(%why, "cannot accept a control client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One answer line to each request line, until the client is silent or gone.
async fn converse(mut stream: tokio::net::UnixStream, answers: &dyn Answers) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(REQUEST_BYTES_MAX);
        let read = timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let answer = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => answers.answer(request).await,
            Err(_) if !whole && read as u64 == REQUEST_BYTES_MAX => Answer::Error("the request is too long".to_owned()),
            Err(why) => Answer::Error(format!("not a request: {why}")),
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        timeout(PATIENCE, writer.write_all(&text)).await??;
        if !whole {
            return Ok(());
        }
    }
}
