//! The few requests over rtnetlink that the lab makes, each inside the namespace it is about.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd,
};

use rtnetlink::{
    Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder, new_connection,
    packet_route::{
        link::{InfoData, InfoVeth, LinkAttribute, Stats64},
        route::{RouteScope, RouteType},
    },
};

use crate::LabError;

/// A netlink connection into the namespace of the current thread.
pub(crate) struct Netlink {
    handle: Handle,
}

fn failed(doing: String) -> impl FnOnce(rtnetlink::Error) -> LabError {
    move |error| LabError::Netlink { doing, why: error.to_string() }
}

impl Netlink {
    /// Open a connection, do `work` with it, close it.
    pub(crate) fn with<T, F>(work: impl FnOnce(Netlink) -> F) -> Result<T, LabError>
    where
        F: Future<Output = Result<T, LabError>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LabError::io("starting a runtime for netlink"))?;
        runtime.block_on(async {
            let (connection, handle, _) = new_connection().map_err(LabError::io("opening a netlink socket"))?;
            tokio::spawn(connection);
            work(Netlink { handle }).await
        })
    }

    /// A veth pair: one end here, the other in the namespace of `other`.
    pub(crate) async fn wire(&self, name: &str, other_name: &str, other: &File) -> Result<(), LabError> {
        let peer =
            LinkMessageBuilder::<LinkUnspec>::new().name(other_name.to_owned()).setns_by_fd(other.as_raw_fd()).build();
        let message = LinkVeth::new(name, other_name).set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).build();
        let doing = format!("making the wire {name} – {other_name}");
        self.handle.link().add(message).execute().await.map_err(failed(doing))
    }

    pub(crate) async fn up(&self, name: &str) -> Result<(), LabError> {
        let message = LinkUnspec::new_with_name(name).up().build();
        self.handle.link().set(message).execute().await.map_err(failed(format!("setting {name} up")))
    }

    pub(crate) async fn down(&self, name: &str) -> Result<(), LabError> {
        let message = LinkUnspec::new_with_name(name).down().build();
        self.handle.link().set(message).execute().await.map_err(failed(format!("setting {name} down")))
    }

    pub(crate) async fn carrier(&self, name: &str, carrier: bool) -> Result<(), LabError> {
        let attribute = LinkAttribute::Carrier(u8::from(carrier));
        let message = LinkUnspec::new_with_name(name).append_extra_attribute(attribute).build();
        self.handle.link().set(message).execute().await.map_err(failed(format!("setting the carrier of {name}")))
    }

    pub(crate) async fn address(&self, name: &str, address: IpAddr, prefix_bits: u8) -> Result<(), LabError> {
        let index = self.link(name).await?.header.index;
        let doing = format!("giving {name} the address {address}/{prefix_bits}");
        self.handle.address().add(index, address, prefix_bits).execute().await.map_err(failed(doing))
    }

    pub(crate) async fn route(&self, network: IpAddr, prefix_bits: u8, gateway: IpAddr) -> Result<(), LabError> {
        let doing = format!("routing {network}/{prefix_bits} via {gateway}");
        let message = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(network, prefix_bits)
            .and_then(|route| route.gateway(gateway))
            .map_err(|error| LabError::Invalid(format!("{doing}: {error}")))?
            .build();
        self.handle.route().add(message).execute().await.map_err(failed(doing))
    }

    /// All addresses of a prefix are this host's own (AnyIP): it may send from them and is given what is sent to them.
    pub(crate) async fn own_prefix(&self, network: Ipv4Addr, prefix_bits: u8) -> Result<(), LabError> {
        /// The routing table of a host's own addresses, ip-route(8).
        const LOCAL_TABLE: u32 = 255;
        let index = self.link("lo").await?.header.index;
        let doing = format!("owning {network}/{prefix_bits}");
        let message = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(network, prefix_bits)
            .output_interface(index)
            .table_id(LOCAL_TABLE)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .build();
        self.handle.route().add(message).execute().await.map_err(failed(doing))
    }

    /// The hardware (MAC) address of an interface.
    pub(crate) async fn hardware_address(&self, name: &str) -> Result<[u8; 6], LabError> {
        let link = self.link(name).await?;
        let address = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        });
        let doing = format!("reading {name}");
        address.ok_or_else(|| LabError::Netlink { doing, why: "it has no hardware address of six bytes".into() })
    }

    /// Received and sent packets of an interface.
    pub(crate) async fn packets(&self, name: &str) -> Result<(u64, u64), LabError> {
        self.statistics(name).await.map(|statistics| (statistics.rx_packets, statistics.tx_packets))
    }

    /// Packets that an interface had no room for: received, and to be sent.
    pub(crate) async fn dropped(&self, name: &str) -> Result<(u64, u64), LabError> {
        self.statistics(name).await.map(|statistics| (statistics.rx_dropped, statistics.tx_dropped))
    }

    async fn statistics(&self, name: &str) -> Result<Stats64, LabError> {
        let link = self.link(name).await?;
        let statistics = link.attributes.into_iter().find_map(|attribute| match attribute {
            LinkAttribute::Stats64(statistics) => Some(statistics),
            _ => None,
        });
        let none = || LabError::Netlink { doing: format!("reading {name}"), why: "it has no statistics".into() };
        statistics.ok_or_else(none)
    }

    async fn link(&self, name: &str) -> Result<rtnetlink::packet_route::link::LinkMessage, LabError> {
        use futures_util::TryStreamExt;
        let doing = format!("looking up the interface {name}");
        let mut links = self.handle.link().get().match_name(name.to_owned()).execute();
        let first = links.try_next().await.map_err(failed(doing.clone()))?;
        first.ok_or(LabError::Netlink { doing, why: "there is none".into() })
    }
}
