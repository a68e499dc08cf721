//! Zones as a lab server is to have them.

use std::path::{Path, PathBuf};

use super::write;
use crate::LabError;

/// How `named` signs a zone by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dnssec {
    /// NSEC.
    Nsec,
    /// NSEC3, no salt, no extra iterations (RFC 9276).
    Nsec3,
    /// NSEC3 with opt-out.
    Nsec3OptOut,
}

#[derive(Clone, Debug)]
enum Source {
    Text(String),
    File(PathBuf),
}

/// A zone to be loaded from a master file.
#[derive(Clone, Debug)]
pub struct ZoneSpec {
    /// Its apex, without the dot at the end; `.` for the root.
    pub name: String,
    source: Source,
    pub(super) dynamic: bool,
    pub(super) dnssec: Option<Dnssec>,
}

impl ZoneSpec {
    /// A zone with this master file.
    pub fn text(name: &str, text: impl Into<String>) -> ZoneSpec {
        ZoneSpec { name: tidy(name), source: Source::Text(text.into()), dynamic: false, dnssec: None }
    }

    /// A zone with the master file at `path`, which is read where it lies unless the zone is dynamic.
    pub fn file(name: &str, path: &Path) -> ZoneSpec {
        ZoneSpec { name: tidy(name), source: Source::File(path.to_owned()), dynamic: false, dnssec: None }
    }

    /// Accept dynamic updates (RFC 2136), from who has the server's key, or from anybody where it has none.
    pub fn dynamic(mut self) -> ZoneSpec {
        self.dynamic = true;
        self
    }

    /// Have `named` sign it.
    pub fn signed(mut self, dnssec: Dnssec) -> ZoneSpec {
        self.dnssec = Some(dnssec);
        self
    }

    /// Put the master file where the server looks for it.
    pub(super) fn place(&self, folder: &Path) -> Result<PathBuf, LabError> {
        let path = folder.join("zones").join(format!("{}.zone", file_name(&self.name)));
        match &self.source {
            Source::Text(text) => write(&path, text)?,
            Source::File(file) if self.dynamic || self.dnssec.is_some() => {
                write(&path, "")?;
                std::fs::copy(file, &path).map_err(LabError::io(format!("copying {}", file.display())))?;
            }
            Source::File(file) => return Ok(file.clone()),
        }
        Ok(path)
    }
}

/// Put another master file in place of one of `own`; gives the zone's name.
pub(super) fn replace(own: &[ZoneSpec], folder: &Path, zone: &str, text: &str) -> Result<String, LabError> {
    let name = tidy(zone);
    if !own.iter().any(|spec| spec.name == name) {
        return Err(LabError::Invalid(format!("this server has no zone {zone} of its own")));
    }
    ZoneSpec::text(&name, text).place(folder)?;
    Ok(name)
}

/// Remove the files of a folder whose names are as said.
pub(super) fn remove_files(folder: &Path, is_one: impl Fn(&str) -> bool) -> Result<(), LabError> {
    let entries = std::fs::read_dir(folder).map_err(LabError::io(format!("listing {}", folder.display())))?;
    for entry in entries.flatten().filter(|entry| is_one(&entry.file_name().to_string_lossy())) {
        let path = entry.path();
        std::fs::remove_file(&path).map_err(LabError::io(format!("removing {}", path.display())))?;
    }
    Ok(())
}

pub(super) fn tidy(name: &str) -> String {
    match name.trim_end_matches('.') {
        "" => ".".to_owned(),
        name => name.to_owned(),
    }
}

pub(super) fn file_name(zone: &str) -> String {
    if zone == "." { "root".to_owned() } else { zone.replace('/', "_") }
}
