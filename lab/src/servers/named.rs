//! BIND's `named`: the hidden origin, and a peer to compare with.

use std::{
    fmt::Write as _,
    fs,
    net::IpAddr,
    ops::{Deref, DerefMut},
    path::Path,
};

use super::{Dnssec, READY_DEADLINE, Server, TsigKey, ZoneSpec, write};
use crate::{LabError, Namespace, Output, Process};

/// What a `named` is to be.
#[must_use]
pub struct NamedBuilder {
    namespace: Namespace,
    key: Option<TsigKey>,
    notify: Vec<IpAddr>,
    sign_notify: bool,
    zones: Vec<ZoneSpec>,
    secondary: Vec<(String, IpAddr)>,
    options: String,
    core: Option<usize>,
    wait: bool,
}

/// A running `named`.
pub struct Named {
    server: Server,
    key: Option<TsigKey>,
    zones: Vec<ZoneSpec>,
}

impl Named {
    /// A `named` in `namespace`, on port 53 of all its addresses.
    pub fn at(namespace: &Namespace) -> NamedBuilder {
        NamedBuilder {
            namespace: namespace.clone(),
            key: None,
            notify: Vec::new(),
            sign_notify: false,
            zones: Vec::new(),
            secondary: Vec::new(),
            options: String::new(),
            core: None,
            wait: true,
        }
    }

    /// Apply a dynamic update with `nsupdate`: lines as in `update add www.example.com 300 A 192.0.2.7`; `zone` and
    /// `send` are added. Signed with the server's key where it has one.
    pub fn update(&self, zone: &str, lines: &str) -> Result<Output, LabError> {
        let mut program = self.server.namespace().program("nsupdate");
        if let Some(key) = &self.key {
            program = program.arg("-k").arg(key.file.to_string_lossy());
        }
        let zone = if zone.ends_with('.') { zone.to_owned() } else { format!("{zone}.") };
        program.input(format!("server {}\nzone {zone}\n{lines}\nsend\n", self.v4())).run()?.success()
    }

    /// An `nsupdate` that stays open, for updates whose time counts: starting it costs more than an update.
    pub fn open_updates(&self, zone: &str) -> Result<Updates, LabError> {
        let mut program = self.server.namespace().program("nsupdate").piped();
        if let Some(key) = &self.key {
            program = program.arg("-k").arg(key.file.to_string_lossy());
        }
        let nsupdate = program.spawn("nsupdate")?;
        let zone = if zone.ends_with('.') { zone.to_owned() } else { format!("{zone}.") };
        nsupdate.write(&format!("server {}\nzone {zone}\n", self.v4()))?;
        Ok(Updates { nsupdate })
    }

    /// Run `rndc` against this server.
    pub fn rndc(&self, arguments: &[&str]) -> Result<Output, LabError> {
        let configuration = self.folder().join("rndc.conf");
        let program = self.server.namespace().program("rndc");
        program.arg("-c").arg(configuration.to_string_lossy()).args(arguments).run()?.success()
    }

    /// Put another master file in place of a zone's and load it.
    pub fn replace_zone(&self, zone: &str, text: &str) -> Result<(), LabError> {
        let name = super::zone::tidy(zone);
        let spec = self.zones.iter().find(|spec| spec.name == name);
        let spec = spec.ok_or_else(|| LabError::Invalid(format!("the origin has no zone {zone}")))?;
        if spec.dynamic {
            self.rndc(&["freeze", &name])?;
        }
        let path = ZoneSpec::text(&name, text).place(self.folder())?;
        if spec.dynamic {
            // The journal belongs to what the file was before.
            let _ = fs::remove_file(format!("{}.jnl", path.display()));
            self.rndc(&["thaw", &name])?;
        } else {
            self.rndc(&["reload", &name])?;
        }
        Ok(())
    }

    /// The key that updates and transfers need.
    pub fn key(&self) -> Option<&TsigKey> {
        self.key.as_ref()
    }
}

/// An open `nsupdate`; see [`Named::open_updates`].
pub struct Updates {
    nsupdate: Process,
}

impl Updates {
    /// Send an update: lines as for [`Named::update`]. Does not wait for the response.
    pub fn send(&self, lines: &str) -> Result<(), LabError> {
        self.nsupdate.write(&format!("{lines}\nsend\n"))
    }

    /// What `nsupdate` said so far: nothing, unless something went wrong.
    pub fn output(&self) -> String {
        self.nsupdate.output()
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        let _ = self.nsupdate.kill();
    }
}

impl NamedBuilder {
    /// Transfers and updates need this key; without, anybody may.
    pub fn key(mut self, key: &TsigKey) -> NamedBuilder {
        self.key = Some(key.clone());
        self
    }

    /// Send NOTIFY for every zone to this address, at once on a change.
    pub fn notify(mut self, address: IpAddr) -> NamedBuilder {
        self.notify.push(address);
        self
    }

    /// Sign the NOTIFY messages with the key.
    pub fn sign_notify(mut self) -> NamedBuilder {
        self.sign_notify = true;
        self
    }

    /// Load this zone.
    pub fn zone(mut self, zone: ZoneSpec) -> NamedBuilder {
        self.zones.push(zone);
        self
    }

    /// Be a secondary of this origin for a zone; the key is the server's.
    pub fn secondary(mut self, zone: &str, origin: IpAddr) -> NamedBuilder {
        self.secondary.push((super::zone::tidy(zone), origin));
        self
    }

    /// More lines for `options { … }`.
    pub fn options(mut self, lines: &str) -> NamedBuilder {
        self.options.push_str(lines);
        self.options.push('\n');
        self
    }

    /// Pin it to one core.
    pub fn core(mut self, core: Option<usize>) -> NamedBuilder {
        self.core = core;
        self
    }

    /// Don't wait in [`NamedBuilder::start`] until every zone is answered for.
    pub fn without_waiting(mut self) -> NamedBuilder {
        self.wait = false;
        self
    }

    /// Write the configuration, start it, and wait until it answers for all its zones.
    pub fn start(self) -> Result<Named, LabError> {
        let folder = self.namespace.lab().sub_folder(&format!("named-{}", self.namespace.name()))?;
        let configuration = folder.join("named.conf");
        write(&configuration, &self.configuration(&folder)?)?;
        // rndc needs a key whether the zones do or not; it works on the loopback of the namespace alone.
        write(
            &folder.join("rndc.conf"),
            &format!("{RNDC_KEY}options {{ default-key rndc; default-server 127.0.0.1; }};\n"),
        )?;
        // More threads than cores would only be in each other's way.
        let threads = if self.core.is_some() { ["-n", "1"].as_slice() } else { &[] };
        let program = self
            .namespace
            .program("named")
            .args(["-g", "-c"])
            .arg(configuration.to_string_lossy())
            .args(threads)
            .folder(&folder)
            .core(self.core);
        let server = Server::start("bind", &self.namespace, folder, program)?;
        if self.wait {
            for zone in &self.zones {
                server.wait_for_zone(&zone.name, 1, READY_DEADLINE)?;
            }
        }
        Ok(Named { server, key: self.key, zones: self.zones })
    }

    fn configuration(&self, folder: &Path) -> Result<String, LabError> {
        let mut text = format!(
            "options {{\n  directory \"{folder}\";\n  pid-file none;\n  session-keyfile none;\n  lock-file none;\n\
             \x20 listen-on {{ any; }};\n  listen-on-v6 {{ any; }};\n  recursion no;\n  dnssec-validation no;\n\
             \x20 empty-zones-enable no;\n  check-integrity no;\n  check-names primary ignore;\n\
             \x20 notify explicit;\n  notify-delay 0;\n  notify-rate 1000;\n  startup-notify-rate 1000;\n\
             \x20 serial-query-rate 1000;\n  transfers-out 100;\n  tcp-clients 1000;\n  allow-query {{ any; }};\n\
             {extra}}};\n\
             {RNDC_KEY}controls {{ inet 127.0.0.1 allow {{ 127.0.0.1; }} keys {{ rndc; }}; }};\n",
            folder = folder.display(),
            extra = self.options,
        );
        if let Some(key) = &self.key {
            let _ = writeln!(text, "include \"{}\";", key.file.display());
        }
        text.push_str(POLICIES);
        for zone in &self.zones {
            self.zone_statement(&mut text, zone, folder)?;
        }
        let key = self.key.as_ref().map(|key| format!("key {}", key.name)).unwrap_or_default();
        for (zone, origin) in &self.secondary {
            let file = super::zone::file_name(zone);
            let _ = writeln!(
                text,
                "zone \"{zone}\" {{\n  type secondary;\n  file \"{file}.secondary\";\n  primaries {{ {origin} {key}; }};\n}};"
            );
        }
        Ok(text)
    }

    fn zone_statement(&self, text: &mut String, zone: &ZoneSpec, folder: &Path) -> Result<(), LabError> {
        let file = zone.place(folder)?;
        let key = self.key.as_ref().map(|key| format!("key {}", key.name));
        let who = key.as_deref().unwrap_or("any");
        let _ = writeln!(text, "zone \"{}\" {{\n  type primary;\n  file \"{}\";", zone.name, file.display());
        let _ = writeln!(text, "  allow-transfer {{ {who}; }};");
        if zone.dynamic {
            let _ = writeln!(text, "  allow-update {{ {who}; }};");
        }
        if !self.notify.is_empty() {
            let signed = key.as_deref().filter(|_| self.sign_notify).unwrap_or_default();
            let targets: Vec<String> = self.notify.iter().map(|address| format!("{address} {signed};")).collect();
            let _ = writeln!(text, "  also-notify {{ {} }};", targets.join(" "));
        }
        if let Some(dnssec) = zone.dnssec {
            let policy = match dnssec {
                Dnssec::Nsec => "lab-nsec",
                Dnssec::Nsec3 => "lab-nsec3",
                Dnssec::Nsec3OptOut => "lab-nsec3-opt-out",
            };
            let inline = if zone.dynamic { "no" } else { "yes" };
            let _ = writeln!(text, "  dnssec-policy {policy};\n  inline-signing {inline};");
        }
        text.push_str("};\n");
        Ok(())
    }
}

/// A key for the control channel, which listens on the loopback of a namespace that dies with the lab.
const RNDC_KEY: &str = "key rndc { algorithm hmac-sha256; secret \"cGFyYXBldC1sYWItbG9vcGJhY2stb25seQ==\"; };\n";

/// One key that signs everything, as `dnssec-policy default` has it, with each kind of denial.
const POLICIES: &str = "\
dnssec-policy lab-nsec { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; };
dnssec-policy lab-nsec3 { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; \
nsec3param iterations 0 optout no salt-length 0; };
dnssec-policy lab-nsec3-opt-out { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; \
nsec3param iterations 0 optout yes salt-length 0; };
";

impl Deref for Named {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Named {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
