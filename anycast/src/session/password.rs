//! Passwords of TCP MD5: read from their files, never shown.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::PASSWORD_BYTES_MAX;
use crate::Error;

/// A password file may be so long: the password and what an editor puts behind it.
const FILE_BYTES_MAX: u64 = PASSWORD_BYTES_MAX as u64 + 2;

/// A password; `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(Arc<[u8]>);

impl Password {
    /// Reads a file; the end of its line does not belong to the password.
    pub(super) fn read(neighbour: &str, path: &Path) -> Result<Self, Error> {
        let error = |why: String| Error::Password { neighbour: neighbour.into(), path: PathBuf::from(path), why };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|why| error(why.to_string()))?;
        let password = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let password = password.strip_suffix(b"\r").unwrap_or(password);
        match password.len() {
            0 => Err(error("it is empty".into())),
            1..=PASSWORD_BYTES_MAX if !password.contains(&b'\n') => Ok(Self(password.into())),
            1..=PASSWORD_BYTES_MAX => Err(error("it has more than one line".into())),
            _ => Err(error(format!("more than {PASSWORD_BYTES_MAX} bytes, which is the longest that Linux takes"))),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}
