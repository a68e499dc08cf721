//! Knot DNS, as a peer to compare with and as an origin.

use std::{
    fmt::Write as _,
    fs,
    ops::{Deref, DerefMut},
    path::Path,
};

use nix::{sched::sched_setaffinity, unistd::Pid};

use super::{
    READY_DEADLINE, Server, ZoneSpec,
    peer::PeerBuilder,
    write,
    zone::{self, file_name},
};
use crate::{LabError, Namespace, Output, cores, until};

/// A running Knot.
pub struct Knot {
    server: Server,
    own: Vec<ZoneSpec>,
}

impl Knot {
    /// A Knot in `namespace`, on port 53 of its addresses.
    pub fn at(namespace: &Namespace) -> PeerBuilder<Knot> {
        PeerBuilder::new(namespace)
    }

    /// Run `knotc` against this server.
    pub fn control(&self, arguments: &[&str]) -> Result<Output, LabError> {
        let configuration = self.folder().join("knot.conf");
        let program = self.server.namespace().program("knotc");
        program.arg("-c").arg(configuration.to_string_lossy()).args(arguments).run()?.success()
    }

    /// Put another master file in place of a zone's and load it.
    pub fn replace_zone(&self, zone: &str, text: &str) -> Result<(), LabError> {
        let name = zone::replace(&self.own, self.folder(), zone, text)?;
        self.control(&["-b", "zone-reload", &name]).map(|_| ())
    }

    /// Have all its threads on this core. It binds those that answer over UDP to cores of its own choice, the first of them to
    /// the first core, whatever it was started with: there it would take time from whoever asks it.
    fn keep_to(&self, core: usize) -> Result<(), LabError> {
        let cores = cores::only(core)?;
        // Its threads are there, and have bound themselves, before it listens to orders.
        until("Knot to listen to orders", READY_DEADLINE, || self.control(&["status"]).ok())?;
        let folder = format!("/proc/{}/task", self.server.process().pid());
        let threads = fs::read_dir(&folder).map_err(LabError::io("looking for Knot's threads"))?;
        let numbers = threads.flatten().filter_map(|thread| thread.file_name().to_str()?.parse().ok());
        for number in numbers {
            sched_setaffinity(Pid::from_raw(number), &cores)
                .map_err(LabError::errno(format!("keeping Knot to core {core}")))?;
        }
        Ok(())
    }

    /// Forget all differences.
    pub fn lose_differences(&self) -> Result<(), LabError> {
        self.own.iter().try_for_each(|zone| self.control(&["-f", "zone-purge", "+journal", &zone.name]).map(|_| ()))
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
        let knot = Knot { server, own: self.own };
        self.core.map_or(Ok(()), |core| knot.keep_to(core))?;
        Ok(knot)
    }

    fn configuration(&self, folder: &Path) -> Result<String, LabError> {
        let folder_name = folder.display();
        let listen: Vec<String> = self.listen_addresses().iter().map(|address| format!("{address}@53")).collect();
        let mut text = format!(
            "{xdp}server:\n{options}  rundir: \"{folder_name}\"\n  listen: [ {} ]\n  udp-workers: 1\n  tcp-workers: 1\n  \
             background-workers: {background}\n  tcp-reuseport: on\nlog:\n  - target: stderr\n    any: warning\n\
             database:\n  storage: \"{folder_name}\"\n",
            listen.join(", "),
            xdp = self.xdp.as_ref().map(|name| format!("xdp:\n  listen: [ {name}@53 ]\n")).unwrap_or_default(),
            options = self.options,
            // Its own default is one to a core; transfers of many zones wait for the network.
            background = if self.catalog.is_some() { 10 } else { 1 },
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
            let _ = write!(text, "acl:\n  - id: notify\n    address: {origin}\n    action: notify\n");
            // Signed or not, as it comes; without a key it means unsigned alone.
            let _ = write!(text, "  - id: notify-signed\n    address: {origin}\n    action: notify\n{key}");
            let _ = write!(text, "remote:\n  - id: origin\n    address: {origin}@53\n{key}");
        }
        self.as_origin(&mut text);
        if let Some(per_s) = self.rate_limit {
            // Every second answer above the limit is truncated; a table for 393,241 sources: both by default.
            let _ = write!(
                text,
                "mod-cookies:\n  - id: all\nmod-rrl:\n  - id: all\n    rate-limit: {per_s}\n    slip: 2\ntemplate:\n  \
                 - id: default\n    global-module: [ mod-cookies/all, mod-rrl/all ]\n"
            );
        }
        if let Some(catalog) = &self.catalog {
            let _ = write!(
                text,
                "template:\n  - id: member\n    storage: \"{folder_name}\"\n    master: origin\n    acl: notify\n    \
                 zonefile-sync: -1\n    zonefile-load: none\n    journal-content: all\nzone:\n  - domain: \"{catalog}\"\n    \
                 storage: \"{folder_name}\"\n    master: origin\n    acl: notify\n    zonefile-sync: -1\n    \
                 catalog-role: interpret\n    catalog-template: member\n"
            );
        } else {
            text.push_str("zone:\n");
        }
        for zone in &self.own {
            let file = zone.place(folder)?;
            let _ = write!(text, "  - domain: \"{}\"\n    file: \"{}\"\n", zone.name, file.display());
            text.push_str("    semantic-checks: off\n    zonefile-sync: -1\n    acl: transfer\n");
            if !self.notify.is_empty() {
                let ids: Vec<String> = (0..self.notify.len()).map(|number| format!("edge{number}")).collect();
                let _ = writeln!(text, "    notify: [ {} ]", ids.join(", "));
            }
            text.push_str(if self.differences {
                "    zonefile-load: difference\n    journal-content: changes\n"
            } else {
                "    provide-ixfr: off\n"
            });
        }
        let sync = if self.zone_files { 0 } else { -1 };
        for zone in &self.secondary {
            let _ = write!(
                text,
                "  - domain: \"{zone}\"\n    file: \"{folder_name}/{}.zone\"\n    storage: \"{folder_name}\"\n    \
                 master: origin\n    acl: [ notify, notify-signed ]\n    zonefile-sync: {sync}\n",
                file_name(zone)
            );
        }
        Ok(text)
    }

    /// Who may transfer, and who is notified.
    fn as_origin(&self, text: &mut String) {
        for (number, address) in self.notify.iter().enumerate() {
            if number == 0 && self.origin.is_none() {
                text.push_str("remote:\n");
            }
            let _ = write!(text, "  - id: edge{number}\n    address: {address}@53\n");
        }
        let key = self.key.as_ref().map(|key| format!("    key: {}\n", key.name)).unwrap_or_default();
        let _ = write!(text, "acl:\n  - id: transfer\n    action: transfer\n{key}");
    }
}

impl Deref for Knot {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Knot {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
