//! A TSIG key (RFC 8945), made by BIND's `tsig-keygen` and kept in its format.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::write;
use crate::{Lab, LabError, program::find_program};

/// The algorithms the lab makes keys for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TsigAlgorithm {
    /// hmac-sha256
    Sha256,
    /// hmac-sha384
    Sha384,
    /// hmac-sha512
    Sha512,
}

impl TsigAlgorithm {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            TsigAlgorithm::Sha256 => "hmac-sha256",
            TsigAlgorithm::Sha384 => "hmac-sha384",
            TsigAlgorithm::Sha512 => "hmac-sha512",
        }
    }
}

/// A key with its file.
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// The key's name.
    pub name: String,
    /// Its algorithm.
    pub algorithm: TsigAlgorithm,
    /// The secret in base64. A lab's keys live as long as the lab and open nothing else.
    pub secret: String,
    /// The file as `tsig-keygen` wrote it.
    pub file: PathBuf,
}

impl TsigKey {
    /// A new key with hmac-sha256.
    pub fn generate(lab: &Lab, name: &str) -> Result<TsigKey, LabError> {
        TsigKey::generate_with(lab, name, TsigAlgorithm::Sha256)
    }

    /// A new key.
    pub fn generate_with(lab: &Lab, name: &str, algorithm: TsigAlgorithm) -> Result<TsigKey, LabError> {
        let output = Command::new(find_program("tsig-keygen")?)
            .args(["-a", algorithm.name(), name])
            .output()
            .map_err(LabError::io("running tsig-keygen"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let secret = text.split('"').skip_while(|part| !part.trim_end().ends_with("secret")).nth(1);
        let secret = secret.ok_or_else(|| LabError::Invalid("tsig-keygen wrote no secret".into()))?.to_owned();
        let file = unused(lab.folder(), name);
        write(&file, &text)?;
        let owner_alone = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, owner_alone).map_err(LabError::io(format!("guarding {}", file.display())))?;
        Ok(TsigKey { name: name.to_owned(), algorithm, secret, file })
    }
}

/// Two keys of one name, a right and a wrong one, are what some tests are about.
fn unused(folder: &Path, name: &str) -> PathBuf {
    let numbered = |number: u32| folder.join(format!("{name}-{number}.key"));
    (0..).map(numbered).find(|path| !path.exists()).unwrap_or_else(|| folder.join(name))
}
