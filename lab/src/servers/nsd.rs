//! NSD, as a peer to compare with and as an origin.

use std::{
    fmt::Write as _,
    ops::{Deref, DerefMut},
    path::Path,
};

use super::{
    READY_DEADLINE, Server, ZoneSpec,
    peer::PeerBuilder,
    write,
    zone::{self, file_name},
};
use crate::{LabError, Namespace, Output};

/// A running NSD.
pub struct Nsd {
    server: Server,
    own: Vec<ZoneSpec>,
}

impl Nsd {
    /// An NSD in `namespace`, on port 53 of its addresses.
    pub fn at(namespace: &Namespace) -> PeerBuilder<Nsd> {
        PeerBuilder::new(namespace)
    }

    /// Run `nsd-control` against this server.
    pub fn control(&self, arguments: &[&str]) -> Result<Output, LabError> {
        let configuration = self.folder().join("nsd.conf");
        let program = self.server.namespace().program("nsd-control");
        program.arg("-c").arg(configuration.to_string_lossy()).args(arguments).run()?.success()
    }

    /// Put another master file in place of a zone's and load it.
    pub fn replace_zone(&self, zone: &str, text: &str) -> Result<(), LabError> {
        let name = zone::replace(&self.own, self.folder(), zone, text)?;
        self.control(&["reload", &name]).map(|_| ())
    }

    /// Forget all differences: it is stopped, and started without them.
    pub fn lose_differences(&mut self) -> Result<(), LabError> {
        self.server.stop()?;
        zone::remove_files(&self.folder().join("zones"), |name| name.contains(".ixfr"))?;
        self.server.start_again()
    }
}

impl PeerBuilder<Nsd> {
    /// Write the configuration, start it and wait until it answers for its own zones, not for those of the origin.
    pub fn start(self) -> Result<Nsd, LabError> {
        let folder = self.namespace.lab().sub_folder(&format!("nsd-{}", self.namespace.name()))?;
        let configuration = folder.join("nsd.conf");
        write(&configuration, &self.configuration(&folder)?)?;
        write(&folder.join("zones/.keep"), "")?;
        if !self.listed.is_empty() {
            let lines: String = self.listed.iter().map(|zone| format!("add {zone} listed\n")).collect();
            write(&folder.join("zone.list"), &format!("# NSD zone list\n# name pattern\n{lines}"))?;
        }
        let program = self
            .namespace
            .program("nsd")
            .args(["-d", "-c"])
            .arg(configuration.to_string_lossy())
            .folder(&folder)
            .core(self.core);
        let server = Server::start("nsd", &self.namespace, folder, program)?;
        for zone in &self.own {
            server.wait_for_zone(&zone.name, 1, READY_DEADLINE)?;
        }
        Ok(Nsd { server, own: self.own })
    }

    fn configuration(&self, folder: &Path) -> Result<String, LabError> {
        let folder_name = folder.display();
        let mut text = format!("server:\n{}", self.options);
        for address in self.listen_addresses() {
            let _ = writeln!(text, "  ip-address: {address}");
        }
        // Every second answer above the limit is truncated, so that real clients come over TCP; 1,000,000 buckets; /24 and
        // /64: all by default. Nobody has another limit for being on a list.
        let limits = match self.rate_limit {
            Some(per_s) => {
                format!("rrl-ratelimit: {per_s}\n  rrl-whitelist-ratelimit: {per_s}\n  answer-cookie: yes")
            }
            None => "rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0".to_owned(),
        };
        let write_s = if self.zone_files { 2 } else { 3600 };
        // The reload timeout is the least time between two reloads; the default of 1 s would be measured instead of
        // the server; so would its rate limit of 200 answers a second.
        let _ = write!(
            text,
            "  server-count: 1\n  reuseport: yes\n  database: \"\"\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{folder_name}/zones\"\n  zonelistfile: \"{folder_name}/zone.list\"\n  \
             xfrdfile: \"{folder_name}/xfrd.state\"\n  xfrdir: \"{folder_name}\"\n  pidfile: \"{folder_name}/nsd.pid\"\n  \
             tcp-count: 200\n  xfrd-reload-timeout: 0\n  {limits}\n  \
             zonefiles-write: {write_s}\n  verbosity: 1\n  hide-version: yes\n\
             remote-control:\n  control-enable: yes\n  control-interface: \"{folder_name}/nsd.sock\"\n"
        );
        if let Some(key) = &self.key {
            let _ = write!(
                text,
                "key:\n  name: {}\n  algorithm: {}\n  secret: \"{}\"\n",
                key.name,
                key.algorithm.name(),
                key.secret
            );
        }
        for zone in &self.own {
            let file = zone.place(folder)?;
            let _ = write!(text, "zone:\n  name: \"{}\"\n  zonefile: \"{}\"\n", zone.name, file.display());
            self.as_origin(&mut text);
        }
        if let Some(origin) = self.origin {
            let key = self.key.as_ref().map_or("NOKEY", |key| key.name.as_str());
            if !self.listed.is_empty() {
                let _ = write!(
                    text,
                    "pattern:\n  name: listed\n  zonefile: \"%s.zone\"\n  allow-notify: {origin} NOKEY\n  \
                     request-xfr: {origin}@53 {key}\n",
                );
            }
            for zone in &self.secondary {
                let _ = write!(
                    text,
                    "zone:\n  name: \"{zone}\"\n  zonefile: \"{}.zone\"\n  allow-notify: {origin} NOKEY\n  \
                     request-xfr: {origin}@53 {key}\n",
                    file_name(zone)
                );
                if self.key.is_some() {
                    let _ = writeln!(text, "  allow-notify: {origin} {key}");
                }
            }
        }
        Ok(text)
    }

    fn as_origin(&self, text: &mut String) {
        let key = self.key.as_ref().map_or("NOKEY", |key| key.name.as_str());
        let _ = write!(text, "  provide-xfr: 0.0.0.0/0 {key}\n  provide-xfr: ::/0 {key}\n");
        for address in &self.notify {
            let _ = writeln!(text, "  notify: {address} NOKEY");
        }
        if self.differences {
            text.push_str("  store-ixfr: yes\n  create-ixfr: yes\n");
        }
    }
}

impl Deref for Nsd {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Nsd {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
