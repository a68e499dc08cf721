//! A file of the state folder, kept over restarts: written whole or not at all, and set aside where it cannot be read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Secrets may be in it, and addresses of clients, which are nobody's business.
const MODE: u32 = 0o600;
/// No file that is read has more bytes.
const BYTES_MAX: u64 = 256 << 20;

/// Writes beside, syncs, renames: there is the old file or the new one, whole.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = with_ending(path, "new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(MODE).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The file's bytes; none where there is no file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > BYTES_MAX => {
            Err(io::Error::other(format!("{} bytes, where at most {BYTES_MAX} make sense", metadata.len())))
        }
        Ok(_) => fs::read(path).map(Some),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why),
    }
}

/// What the file holds, as `decode` reads it; none where there is no file.
///
/// # Errors
/// Why it cannot be read, and where it was put aside.
pub(crate) fn load<T>(path: &Path, decode: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<Option<T>, String> {
    let loaded = match read(path) {
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => decode(&bytes),
        Err(why) => Err(why.to_string()),
    };
    loaded.map(Some).map_err(|why| format!("{why}; {}", set_aside(path)))
}

/// Puts a file that is no good out of the way, for whoever wants to know why; the one before it goes. Says where it is now.
fn set_aside(path: &Path) -> String {
    let aside = with_ending(path, "bad");
    match fs::rename(path, &aside) {
        Ok(()) => format!("it is kept as {}", aside.display()),
        Err(why) => format!("it cannot be set aside either: {why}"),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
