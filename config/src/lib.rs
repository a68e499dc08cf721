//! The network file: one TOML document that describes every machine of a Parapet network, checked as a whole.
//!
//! [`Network::parse`] walks the document by the [`schema`] and either gives checked structs or *all* that is wrong,
//! each with file, line, column, item, what was found and what was expected. [`Network::for_node`] is what one machine
//! needs of it: a [`Config`]. Nothing here reads a file, a clock or the network: the secrets' files come through
//! [`SecretFiles`], which the binary supplies.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod changes;
mod check;
mod communities;
mod default_file;
mod diagnostic;
mod domain_name;
mod for_node;
mod model;
mod peek;
mod prefix;
mod reader;
pub mod schema;
mod short_form;
mod tsig_keygen;
mod value;
mod zone_check;

pub use changes::{Changes, NodeChange};
pub use check::{Parsed, SecretFile, SecretFiles};
pub use communities::{format_community, format_extended_community, format_large_community};
pub use default_file::default_file;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use domain_name::{DomainNameError, normalise_domain_name};
pub use for_node::{UPSTREAM_PREFIX, UnknownNode};
pub use model::{
    AddressFamily, Anycast, Api, ApiTls, BfdSettings, Catalog, Config, DefenceMode, Defences, DnssecPolicy, Downstream,
    Filter, FleetMember, Identity, KernelAttach, KernelCrash, KernelMode, Key, KeyAlgorithm, Lanes, Limits, LogFormat,
    Mode, Neighbour, Network, Node, NodeApi, OnDemand, OnExpire, Origin, Roles, RouteAttributes, Service, Timers, Tls,
    TransferLimits, TrustAnchor, Zone, ZoneCheck, Zonemd,
};
pub use peek::peek_state_dir;
pub use prefix::{Prefix, PrefixError};
pub use short_form::ShortForm;
pub use tsig_keygen::{TsigKeygenError, parse_tsig_keygen};
pub use value::{DNS_PORT, DNS_TLS_PORT, parse_address, parse_listen_address};
