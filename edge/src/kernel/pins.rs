//! What outlives the daemon: the maps, and the links that keep the program on the interfaces, as files of a
//! BPF file system, in a folder of the node.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, chown},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};

/// Where BPF file systems are mounted.
const ROOT: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC`
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// Whoever may open the maps may write them.
const FOLDER_MODE: u32 = 0o700;
/// How the names start: the file system takes no dots.
const MAP: &str = "map-";
const LINK: &str = "link-";

/// The folder of a node. It is open, so that it can be emptied without any privilege.
#[derive(Debug)]
pub(super) struct Pins {
    path: PathBuf,
    folder: OwnedFd,
}

/// Where a node has its folder: two nodes of one name, in networks of their own, have different state folders.
pub(super) fn folder_of(node: &str, state_dir: &Path) -> PathBuf {
    let state_dir = fs::canonicalize(state_dir).unwrap_or_else(|_| state_dir.to_path_buf());
    let node: String = node.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let number = super::program::fingerprint(state_dir.as_os_str().as_encoded_bytes());
    Path::new(ROOT).join(format!("parapet-{node}-{number:016x}"))
}

impl Pins {
    /// The folder, made if it is not there; for `owner`, if that is to become another user.
    pub(super) fn make(path: PathBuf, owner: Option<(u32, u32)>) -> io::Result<Self> {
        if !is_bpf_fs() {
            let none: Option<&std::ffi::CStr> = None;
            rustix::mount::mount("bpf", ROOT, "bpf", rustix::mount::MountFlags::empty(), none)?;
        }
        match fs::DirBuilder::new().mode(FOLDER_MODE).create(&path) {
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
            _ => {}
        }
        if let Some((user, group)) = owner {
            chown(&path, Some(user), Some(group))?;
        }
        Self::open(path)
    }

    /// The folder, if it is there.
    pub(super) fn find(path: PathBuf) -> Option<Self> {
        Self::open(path).ok()
    }

    fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let folder = rustix::fs::openat(CWD, &path, flags, Mode::empty())?;
        Ok(Self { path, folder })
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.path.join(format!("{MAP}{name}"))
    }

    pub(super) fn link(&self, interface: &str) -> PathBuf {
        self.path.join(link_name(interface))
    }

    /// The names of the maps that are there.
    pub(super) fn maps(&self) -> Vec<String> {
        self.names().into_iter().filter_map(|name| name.strip_prefix(MAP).map(str::to_owned)).collect()
    }

    /// Takes away the maps; whoever has them open keeps them, as a program that is on an interface has.
    pub(super) fn forget_maps(&self) {
        self.remove(|name| name.starts_with(MAP));
    }

    /// Takes away the links of all interfaces but these: who holds them no more loses them.
    pub(super) fn forget_links_but(&self, interfaces: &[String]) {
        let kept: Vec<String> = interfaces.iter().map(|interface| link_name(interface)).collect();
        self.remove(|name| name.starts_with(LINK) && !kept.iter().any(|kept| kept == name));
    }

    /// Takes away the link of an interface: who holds it no more loses it.
    pub(super) fn forget_link(&self, interface: &str) {
        self.remove(|name| name == link_name(interface));
    }

    /// Takes away everything. The folder itself stays where its owner may not change what it is in.
    pub(super) fn forget(&self) {
        self.remove(|_| true);
        let _ = fs::remove_dir(&self.path);
    }

    fn remove(&self, goes: impl Fn(&str) -> bool) {
        for name in self.names().into_iter().filter(|name| goes(name)) {
            if let Err(why) = rustix::fs::unlinkat(&self.folder, &name, AtFlags::empty()) {
                tracing::warn!(folder = %self.path.display(), name, %why, "what the kernel lane pinned stays there");
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = Dir::read_from(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()));
        names.filter(|name| name != "." && name != "..").collect()
    }
}

/// As a name of a file: the file system takes no dots, and interfaces have them.
fn link_name(interface: &str) -> String {
    format!("{LINK}{}", interface.replace('_', "__").replace('.', "_d"))
}

fn is_bpf_fs() -> bool {
    rustix::fs::statfs(ROOT).is_ok_and(|system| system.f_type as u64 & 0xffff_ffff == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_interfaces_have_names_of_their_own() {
        let folder = |node, state| folder_of(node, Path::new(state)).to_string_lossy().into_owned();
        assert_ne!(folder("a", "/one"), folder("a", "/two"));
        assert!(folder("ams.1", "/one").starts_with("/sys/fs/bpf/parapet-ams-1-"));
        assert_eq!((link_name("eth0.5"), link_name("a_d")), ("link-eth0_d5".to_owned(), "link-a__d".to_owned()));
    }
}
