//! Parapet's edge: the built binary, started in the short form of `run` or with a network file.

use std::{
    net::{IpAddr, SocketAddr},
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
};

use super::{READY_DEADLINE, Server, TsigKey, write, zone::tidy};
use crate::{LabError, Namespace, Output, dns};

/// The lab's clients. Each asks for many, and for the same again and again: from one address that is a flood, so they are
/// never limited, unless what is started says something of defences itself.
const CLIENTS: [&str; 4] = ["10.0.0.0/8", "198.18.0.0/15", "fd00::/8", "2001:db8::/32"];

/// By which lanes an edge answers over UDP.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Lanes {
    /// By sockets.
    #[default]
    Sockets,
    /// What was answered before by a program in the kernel (XDP), the rest by sockets.
    Kernel,
    /// The same in generic mode, as it is where a driver takes no program.
    #[value(skip)]
    Generic,
}

impl Lanes {
    /// The section of a network file that has this node use them, the kernel lane on this interface. It has room for more
    /// answers than any benchmark has names, and is native, for the lab knows both ends of its wires; where it cannot be had,
    /// the node does not start.
    pub fn section(self, node: &str, interface: &str) -> String {
        /// Two for each of the names, so that hardly any set of them is full.
        const ANSWERS: u32 = 262_144;
        let attach = match self {
            Lanes::Sockets => return format!("[node.{node}.lanes]\nkernel = \"off\"\n"),
            Lanes::Kernel => "native",
            Lanes::Generic => "generic",
        };
        format!(
            "[node.{node}.lanes]\nkernel = \"required\"\nkernel_attach = \"{attach}\"\ninterfaces = [\"{interface}\"]\n\
             kernel_answers = {ANSWERS}\n"
        )
    }
}

/// What an edge is to be.
#[must_use]
pub struct EdgeBuilder {
    namespace: Namespace,
    origins: Vec<SocketAddr>,
    zones: Vec<String>,
    listen: Vec<SocketAddr>,
    key: Option<TsigKey>,
    state: Option<PathBuf>,
    arguments: Vec<String>,
    file: Option<(String, String)>,
    core: Option<usize>,
    niceness: Option<i8>,
    wait: bool,
}

/// A running edge.
pub struct Edge {
    server: Server,
    state: PathBuf,
    control: PathBuf,
}

impl Edge {
    /// An edge in `namespace`, on port 53 of its addresses.
    pub fn at(namespace: &Namespace) -> EdgeBuilder {
        EdgeBuilder {
            namespace: namespace.clone(),
            origins: Vec::new(),
            zones: Vec::new(),
            listen: Vec::new(),
            key: None,
            state: None,
            arguments: Vec::new(),
            file: None,
            core: None,
            niceness: None,
            wait: true,
        }
    }

    /// Its state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Its control socket.
    pub fn control(&self) -> &Path {
        &self.control
    }

    /// Ask it over its control socket, as in `["zones", "--json"]`.
    pub fn ask(&self, arguments: &[&str]) -> Result<Output, LabError> {
        let binary = parapet_binary()?;
        let program = self.server.namespace().program(&binary.to_string_lossy());
        program.args(arguments).arg("--control").arg(self.control.to_string_lossy()).run()?.success()
    }
}

impl EdgeBuilder {
    /// An origin for all its zones, port 53.
    pub fn origin(self, address: IpAddr) -> EdgeBuilder {
        self.origin_at(SocketAddr::new(address, dns::PORT))
    }

    /// An origin for all its zones.
    pub fn origin_at(mut self, address: SocketAddr) -> EdgeBuilder {
        self.origins.push(address);
        self
    }

    /// Serve this zone.
    pub fn zone(mut self, zone: &str) -> EdgeBuilder {
        self.zones.push(tidy(zone));
        self
    }

    /// Listen here instead of on port 53 of the namespace's addresses.
    pub fn listen(mut self, address: SocketAddr) -> EdgeBuilder {
        self.listen.push(address);
        self
    }

    /// The key for transfers.
    pub fn key(mut self, key: &TsigKey) -> EdgeBuilder {
        self.key = Some(key.clone());
        self
    }

    /// Keep the state here instead of in a folder of the lab.
    pub fn state(mut self, folder: &Path) -> EdgeBuilder {
        self.state = Some(folder.to_owned());
        self
    }

    /// More arguments for `parapet run`.
    pub fn args<S: AsRef<str>>(mut self, arguments: &[S]) -> EdgeBuilder {
        self.arguments.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// In the short form: answer by these lanes. Without, as the daemon does by default.
    pub fn lanes(self, lanes: Lanes) -> EdgeBuilder {
        let lanes = match lanes {
            Lanes::Sockets => "sockets",
            Lanes::Kernel | Lanes::Generic => "kernel",
        };
        self.args(&["--lanes", lanes])
    }

    /// Use the file form: this network file, this node's name. Origins, zones and listen addresses come from the file
    /// alone; its control socket must be where [`Edge::control`] says for [`Edge::ask`] to work.
    pub fn file(mut self, text: &str, node: &str) -> EdgeBuilder {
        self.file = Some((text.to_owned(), node.to_owned()));
        self
    }

    /// The folder that the edge will keep its state in, to be named in a network file.
    pub fn state_folder(&self) -> Result<PathBuf, LabError> {
        match &self.state {
            Some(state) => Ok(state.clone()),
            None => Ok(self.folder()?.join("state")),
        }
    }

    /// Pin it to one core.
    pub fn core(mut self, core: Option<usize>) -> EdgeBuilder {
        self.core = core;
        self
    }

    /// See [`crate::Program::niceness`].
    pub fn niceness(mut self, niceness: i8) -> EdgeBuilder {
        self.niceness = Some(niceness);
        self
    }

    /// Don't wait in [`EdgeBuilder::start`] for the first answer, be it REFUSED or SERVFAIL.
    pub fn without_waiting(mut self) -> EdgeBuilder {
        self.wait = false;
        self
    }

    /// Start it and wait until it answers anything; zones are waited for with [`Server::wait_for_zone`].
    pub fn start(self) -> Result<Edge, LabError> {
        let folder = self.folder()?;
        let state = self.state_folder()?;
        let control = state.join("control.sock");
        let mut program =
            self.namespace.program(&parapet_binary()?.to_string_lossy()).arg("run").folder(&folder).core(self.core);
        program = match &self.file {
            Some((text, node)) => {
                let path = folder.join("network.toml");
                write(&path, &with_clients_allowed(text))?;
                program.arg("--config").arg(path.to_string_lossy()).arg("--node").arg(node)
            }
            None => program.args(self.short_form()).arg("--state").arg(state.to_string_lossy()),
        };
        if let Some(niceness) = self.niceness {
            program = program.niceness(niceness);
        }
        let server = Server::start("parapet", &self.namespace, folder, program.args(&self.arguments))?;
        if self.wait {
            server.wait_until_it_answers(READY_DEADLINE)?;
        }
        Ok(Edge { server, state, control })
    }

    fn folder(&self) -> Result<PathBuf, LabError> {
        self.namespace.lab().sub_folder(&format!("parapet-{}", self.namespace.name()))
    }

    fn short_form(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        for origin in &self.origins {
            add("--origin", origin.to_string());
        }
        for zone in &self.zones {
            add("--zone", zone.clone());
        }
        let everywhere = || self.namespace.addresses().into_iter().map(|address| SocketAddr::new(address, dns::PORT));
        let listen = if self.listen.is_empty() { everywhere().collect() } else { self.listen.clone() };
        for address in listen {
            add("--listen", address.to_string());
        }
        if let Some(key) = &self.key {
            add("--tsig-key", key.file.to_string_lossy().into_owned());
        }
        if !self.arguments.iter().any(|argument| argument == "--defences" || argument == "--allow") {
            CLIENTS.iter().for_each(|prefix| add("--allow", (*prefix).to_owned()));
        }
        arguments
    }
}

/// A network file whose nodes never limit the lab's clients, unless it has a word on defences.
fn with_clients_allowed(text: &str) -> String {
    match text.contains("defences") {
        true => text.to_owned(),
        false => format!("{text}\n[defaults.node.defences]\nallow = {CLIENTS:?}\n"),
    }
}

/// The parapet binary: `PARAPET_BIN`, or beside the program that runs, or (for tests) in the folder above it.
pub fn parapet_binary() -> Result<PathBuf, LabError> {
    if let Some(path) = std::env::var_os("PARAPET_BIN") {
        // Absolute, for it is started in another folder.
        let path = std::path::absolute(&path).unwrap_or(path.into());
        return if path.is_file() { Ok(path) } else { Err(LabError::NoParapet { looked_at: path }) };
    }
    let me = std::env::current_exe().map_err(LabError::io("finding the program's own path"))?;
    let mut folder = me.parent();
    // Tests lie in target/PROFILE/deps, or with some runners deeper.
    if let Some(inner) = folder
        && inner.ends_with("deps")
    {
        folder = inner.parent();
    }
    let looked_at = folder.unwrap_or(Path::new(".")).join("parapet");
    if looked_at.is_file() { Ok(looked_at) } else { Err(LabError::NoParapet { looked_at }) }
}

impl Deref for Edge {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Edge {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
