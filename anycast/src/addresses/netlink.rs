//! The few requests over rtnetlink that the keeper makes.

use std::io;
use std::net::IpAddr;

use futures_util::{StreamExt as _, TryStreamExt as _};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo};
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};

use super::standing::{MARK, Present, host_bits};

/// Where the addresses go.
const LOOPBACK: &str = "lo";
/// A time of CacheInfo that does not end.
const FOREVER: u32 = u32::MAX;

/// A connection to the kernel.
pub(super) struct Netlink {
    handle: Handle,
    /// The index of `lo`.
    pub(super) lo: u32,
    /// Told of by the kernel: addresses have changed.
    changes: Box<dyn futures_util::Stream<Item = ()> + Unpin>,
}

impl Netlink {
    /// Opens it in the network namespace of this process.
    pub(super) async fn open() -> io::Result<Self> {
        let groups = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, handle, changes) = new_multicast_connection(&groups)?;
        tokio::spawn(connection);
        let mut links = handle.link().get().match_name(LOOPBACK.to_owned()).execute();
        let lo = links.try_next().await.map_err(failed)?.ok_or_else(|| io::Error::other("there is no interface lo"))?;
        Ok(Self { handle, lo: lo.header.index, changes: Box::new(changes.map(drop)) })
    }

    /// Returns when an address has come or gone somewhere.
    pub(super) async fn changed(&mut self) {
        if self.changes.next().await.is_none() {
            // The connection has ended. There is still the clock.
            std::future::pending().await
        }
    }

    /// All addresses of all interfaces.
    pub(super) async fn addresses(&self) -> io::Result<Vec<Present>> {
        let found = self.handle.address().get().execute().map_ok(|message| read(&message));
        let found: Vec<_> = found.try_collect().await.map_err(failed)?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Puts an address on `lo`.
    pub(super) async fn put(&self, address: IpAddr) -> io::Result<()> {
        let mut request = self.handle.address().add(self.lo, address, host_bits(address));
        let attributes = &mut request.message_mut().attributes;
        attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(MARK)));
        if address.is_ipv6() {
            // Nobody else on this machine's links has it, and all other nodes do.
            attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            // Not preferred: nothing that this machine asks others for comes from an address that other machines have too.
            let mut forever = CacheInfo::default();
            forever.ifa_valid = FOREVER;
            attributes.push(AddressAttribute::CacheInfo(forever));
        }
        request.execute().await.map_err(failed)
    }

    /// Takes an address that was put there away from `lo`.
    pub(super) async fn take_away(&self, address: IpAddr) -> io::Result<()> {
        // The message that puts it there is the one that names it.
        let mut message = self.handle.address().add(self.lo, address, host_bits(address));
        let message = std::mem::take(message.message_mut());
        self.handle.address().del(message).execute().await.map_err(failed)
    }
}

fn read(message: &AddressMessage) -> Option<Present> {
    // IFA_LOCAL is the interface's own address where IFA_ADDRESS is that of the other end of a link.
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = address.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    let mark = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Protocol(protocol) => Some((*protocol).into()),
        _ => None,
    });
    Some(Present { address, prefix_bits: message.header.prefix_len, interface: message.header.index, mark })
}

fn failed(why: rtnetlink::Error) -> io::Error {
    match why {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}
