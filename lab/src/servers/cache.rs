//! Caches in front of an origin, to compare on-demand zones with: dnsdist with its packet cache, and unbound with a stub
//! zone. Tuned as their manuals advise for one core.

use std::{
    fmt::Write as _,
    net::IpAddr,
    ops::{Deref, DerefMut},
};

use super::{READY_DEADLINE, Server, write, zone::tidy};
use crate::{LabError, Namespace, dns};

/// Answers that a cache may hold: more than any benchmark has names.
const ENTRIES_MAX: u32 = 2_000_000;

/// Which program the cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dnsdist,
    Unbound,
}

/// What a cache is to be.
#[must_use]
pub struct CacheBuilder {
    kind: Kind,
    namespace: Namespace,
    origin: IpAddr,
    zones: Vec<String>,
    listen: Option<IpAddr>,
    rules: String,
    core: Option<usize>,
}

/// A running cache.
pub struct CachePeer(Server);

impl CachePeer {
    /// A dnsdist in `namespace`, on port 53 of its first IPv4 address, in front of `origin`.
    pub fn dnsdist(namespace: &Namespace, origin: IpAddr) -> CacheBuilder {
        CacheBuilder::new(Kind::Dnsdist, namespace, origin)
    }

    /// An unbound in `namespace`, on port 53 of its first IPv4 address, that asks `origin` alone about its zones.
    pub fn unbound(namespace: &Namespace, origin: IpAddr) -> CacheBuilder {
        CacheBuilder::new(Kind::Unbound, namespace, origin)
    }
}

impl CacheBuilder {
    fn new(kind: Kind, namespace: &Namespace, origin: IpAddr) -> CacheBuilder {
        CacheBuilder {
            kind,
            namespace: namespace.clone(),
            origin,
            zones: Vec::new(),
            listen: None,
            rules: String::new(),
            core: None,
        }
    }

    /// Answer for this zone.
    pub fn zone(mut self, zone: &str) -> CacheBuilder {
        self.zones.push(tidy(zone));
        self
    }

    /// Listen here instead.
    pub fn listen(mut self, address: IpAddr) -> CacheBuilder {
        self.listen = Some(address);
        self
    }

    /// dnsdist: these lines of Lua more in its configuration.
    pub fn rules(mut self, lines: &str) -> CacheBuilder {
        self.rules.push_str(lines);
        self
    }

    /// Pin it to one core.
    pub fn core(mut self, core: Option<usize>) -> CacheBuilder {
        self.core = core;
        self
    }

    /// Write the configuration, start it and wait until it answers.
    pub fn start(self) -> Result<CachePeer, LabError> {
        let (subject, file, arguments) = match self.kind {
            Kind::Dnsdist => ("dnsdist", "dnsdist.conf", ["--supervised", "--disable-syslog", "-C"].as_slice()),
            Kind::Unbound => ("unbound", "unbound.conf", ["-d", "-c"].as_slice()),
        };
        let folder = self.namespace.lab().sub_folder(&format!("{subject}-{}", self.namespace.name()))?;
        let configuration = folder.join(file);
        let text = match self.kind {
            Kind::Dnsdist => self.dnsdist(),
            Kind::Unbound => self.unbound(),
        };
        write(&configuration, &text)?;
        let program = self.namespace.program(subject).args(arguments).arg(configuration.to_string_lossy());
        let server = Server::start(subject, &self.namespace, folder.clone(), program.folder(&folder).core(self.core))?;
        server.wait_until_it_answers(READY_DEADLINE)?;
        Ok(CachePeer(server))
    }

    fn address(&self) -> IpAddr {
        self.listen.unwrap_or_else(|| self.namespace.v4())
    }

    /// `setUp` spares the origin its checks, which would be counted as misses; the listener has one thread.
    fn dnsdist(&self) -> String {
        format!(
            "setLocal(\"{}:{port}\")\naddACL(\"0.0.0.0/0\")\nsetSecurityPollSuffix(\"\")\nsetMaxUDPOutstanding(65535)\n\
             origin = newServer({{ address = \"{}:{port}\", sockets = 8 }})\norigin:setUp()\n\
             getPool(\"\"):setCache(newPacketCache({ENTRIES_MAX}, {{ maxTTL = 86400, minTTL = 0 }}))\n{rules}",
            self.address(),
            self.origin,
            port = dns::PORT,
            rules = self.rules,
        )
    }

    /// The clients of benchmarks ask as resolvers ask authoritative servers, without RD; `allow_setrd` answers them.
    fn unbound(&self) -> String {
        let mut text = format!(
            "server:\n  interface: {}\n  port: {}\n  username: \"\"\n  chroot: \"\"\n  directory: \".\"\n  pidfile: \"\"\n  \
             use-syslog: no\n  verbosity: 0\n  num-threads: 1\n  access-control: 0.0.0.0/0 allow_setrd\n  \
             module-config: \"iterator\"\n  msg-cache-size: 256m\n  rrset-cache-size: 512m\n  msg-cache-slabs: 1\n  \
             rrset-cache-slabs: 1\n  infra-cache-slabs: 1\n  key-cache-slabs: 1\n  outgoing-range: 8192\n  \
             num-queries-per-thread: 4096\n  so-rcvbuf: 4m\n  so-sndbuf: 4m\n  minimal-responses: yes\n  prefetch: yes\n  \
             qname-minimisation: no\n  do-not-query-localhost: no\n",
            self.address(),
            dns::PORT,
        );
        for zone in &self.zones {
            let _ = writeln!(text, "  local-zone: \"{zone}\" nodefault");
        }
        text.push_str("remote-control:\n  control-enable: no\n");
        for zone in &self.zones {
            let _ = writeln!(text, "stub-zone:\n  name: \"{zone}\"\n  stub-addr: {}@{}", self.origin, dns::PORT);
        }
        text
    }
}

impl Deref for CachePeer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for CachePeer {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}
