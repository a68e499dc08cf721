//! Knot DNS, as a peer to compare with.

use std::{
    fmt::Write as _,
    ops::{Deref, DerefMut},
    path::Path,
};

use super::{READY_DEADLINE, Server, peer::PeerBuilder, write, zone::file_name};
use crate::{LabError, Namespace};

/// A running Knot.
pub struct Knot(Server);

impl Knot {
    /// A Knot in `namespace`, on port 53 of its addresses.
    pub fn at(namespace: &Namespace) -> PeerBuilder<Knot> {
        PeerBuilder::new(namespace)
    }
}

impl PeerBuilder<Knot> {
    /// Write the configuration, start it and wait until it answers for its own zones, not for those of the origin.
    pub fn start(self) -> Result<Knot, LabError> {
        let folder = self.namespace.lab().sub_folder(&format!("knot-{}", self.namespace.name()))?;
        let configuration = folder.join("knot.conf");
        write(&configuration, &self.configuration(&folder)?)?;
        let program = self
            .namespace
            .program("knotd")
            .arg("-c")
            .arg(configuration.to_string_lossy())
            .folder(&folder)
            .core(self.core);
        let server = Server::start("knot", &self.namespace, folder, program)?;
        for zone in &self.own {
            server.wait_for_zone(&zone.name, 1, READY_DEADLINE)?;
        }
        Ok(Knot(server))
    }

    fn configuration(&self, folder: &Path) -> Result<String, LabError> {
        let folder_name = folder.display();
        let listen: Vec<String> = self.listen_addresses().iter().map(|address| format!("{address}@53")).collect();
        let mut text = format!(
            "server:\n{options}  rundir: \"{folder_name}\"\n  listen: [ {} ]\n  udp-workers: 1\n  tcp-workers: 1\n  \
             background-workers: 1\n  tcp-reuseport: on\nlog:\n  - target: stderr\n    any: warning\n\
             database:\n  storage: \"{folder_name}\"\n",
            listen.join(", "),
            options = self.options,
        );
        if let Some(key) = &self.key {
            let _ = write!(
                text,
                "key:\n  - id: {}\n    algorithm: {}\n    secret: {}\n",
                key.name,
                key.algorithm.name(),
                key.secret
            );
        }
        if let Some(origin) = self.origin {
            let key = self.key.as_ref().map(|key| format!("    key: {}\n", key.name)).unwrap_or_default();
            let _ = write!(text, "remote:\n  - id: origin\n    address: {origin}@53\n{key}");
            let _ = write!(text, "acl:\n  - id: notify\n    address: {origin}\n    action: notify\n");
        }
        text.push_str("zone:\n");
        for zone in &self.own {
            let file = zone.place(folder)?;
            let _ = write!(text, "  - domain: \"{}\"\n    file: \"{}\"\n", zone.name, file.display());
            text.push_str("    semantic-checks: off\n    zonefile-sync: -1\n");
        }
        let sync = if self.zone_files { 0 } else { -1 };
        for zone in &self.secondary {
            let _ = write!(
                text,
                "  - domain: \"{zone}\"\n    file: \"{folder_name}/{}.zone\"\n    storage: \"{folder_name}\"\n    \
                 master: origin\n    acl: notify\n    zonefile-sync: {sync}\n",
                file_name(zone)
            );
        }
        Ok(text)
    }
}

impl Deref for Knot {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Knot {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
