//! A real BIND as the hidden origin: `named` on loopback, and `nsupdate`. Both come with Debian's bind9 and bind9-dnsutils.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wire::{Class, Header, Name, Rtype, Writer};

use super::{SECRET, free_address, wait_for};

/// A running `named`; it ends with this value.
pub(crate) struct Named {
    pub(crate) address: SocketAddr,
    child: Child,
}

/// What else stands in its configuration.
#[derive(Default)]
pub(crate) struct More {
    /// At the top.
    pub(crate) global: String,
    /// Among the options.
    pub(crate) options: String,
    /// Whether the zone is what its file says, and takes no updates (`named` signs anew what does).
    pub(crate) fixed: bool,
    /// In the zone.
    pub(crate) zone: String,
    /// Before the list of who may transfer.
    pub(crate) transfer: &'static str,
}

/// A zone file's text; the same for every test.
pub(crate) fn zone_text(serial: u32, more: &str) -> String {
    format!(
        "$TTL 300\n@ IN SOA ns1 admin {serial} 3600 600 86400 60\n@ IN NS ns1\nns1 IN A 192.0.2.1\n\
         www IN A 192.0.2.2\nwww IN TXT \"hello\"\n{more}"
    )
}

impl Named {
    /// Starts `named` in `folder` with a dynamic zone, signed transfers, and NOTIFYs to `notify`.
    pub(crate) fn start(folder: &Path, address: SocketAddr, zone: &str, text: &str, notify: SocketAddr) -> Named {
        Named::start_with(folder, address, zone, text, notify, &More::default())
    }

    /// The same with more in its configuration.
    pub(crate) fn start_with(
        folder: &Path,
        address: SocketAddr,
        zone: &str,
        text: &str,
        notify: SocketAddr,
        more: &More,
    ) -> Named {
        let file = folder.join("zone.db");
        if !file.exists() {
            fs::write(&file, text).unwrap();
        }
        let (ip, port) = (notify.ip(), notify.port());
        let configuration = format!(
            "key transfer.test {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
             controls {{ }};\n{global}\
             options {{ directory \"{folder}\"; pid-file none; session-keyfile none; recursion no; notify no;\n\
             listen-on port {own} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n{options}\
             dnssec-validation no; notify-delay 0; minimal-responses yes; }};\n\
             zone \"{zone}\" {{ type primary; file \"{file}\"; {in_zone} allow-update {{ {updates}; }};\n\
             allow-transfer {transfer} {{ key transfer.test; }}; notify explicit; also-notify {{ {ip} port {port} key transfer.test; }}; }};\n",
            folder = folder.display(),
            own = address.port(),
            global = more.global,
            options = more.options,
            transfer = more.transfer,
            in_zone = more.zone,
            updates = if more.fixed { "none" } else { "127.0.0.1" },
            file = file.display(),
        );
        let path = folder.join("named.conf");
        fs::write(&path, configuration).unwrap();
        let log = fs::File::create(folder.join("named.log")).unwrap();
        let child = Command::new("named")
            .args(["-g", "-c"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start named ({error}): install Debian's package bind9"));
        let named = Named { address, child };
        wait_for("named answers for the zone", || has_zone(address, zone).then_some(()));
        named
    }

    /// Starts it on a port of its own.
    pub(crate) fn start_anywhere(folder: &Path, zone: &str, text: &str, notify: SocketAddr) -> Named {
        Named::start(folder, free_address(), zone, text, notify)
    }

    /// Applies the commands of an `nsupdate`.
    pub(crate) fn update(&self, commands: &str) {
        let mut child = Command::new("nsupdate")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start nsupdate ({error}): install Debian's package bind9-dnsutils"));
        let (ip, port) = (self.address.ip(), self.address.port());
        write!(child.stdin.take().unwrap(), "server {ip} {port}\n{commands}\nsend\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "nsupdate: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends it, and waits until it has ended.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a server answers with authority for a zone; it listens before it has read its zones.
fn has_zone(server: SocketAddr, zone: &str) -> bool {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.question(zone.parse::<Name>().unwrap().as_ref(), Rtype::SOA, Class::IN).unwrap();
    let length = writer.finish();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket.connect(server).unwrap();
    let asked = socket.send(&buffer[..length]).and_then(|_| socket.recv(&mut buffer));
    asked.is_ok_and(|length| {
        Header::parse(&buffer[..length]).is_ok_and(|header| header.flags.aa() && header.ancount == 1)
    })
}

impl Drop for Named {
    fn drop(&mut self) {
        self.end();
    }
}
