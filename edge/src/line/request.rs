//! The third room: a message becomes a request, with all that EDNS says about how to answer it.

use wire::{Edns, Header, Query, Rcode, Rejected, edns::option};

use crate::{
    Settings,
    cookie::{self, Cookie},
    line::Client,
    settings::UDP_PAYLOAD_BYTES_MIN,
    stats::{DropReason, Transport},
};

/// The EDNS version there is.
const EDNS_VERSION: u8 = 0;

/// A query that can be answered.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) query: Query<'a>,
    /// How to answer it.
    pub(super) form: Form<'a>,
    /// What is wrong with it already: BADVERS, FORMERR or BADCOOKIE in its EDNS part.
    pub(super) refused: Option<Rcode>,
    /// It has a COOKIE option, and cookies are on.
    pub(super) has_cookie: bool,
    /// That option has a cookie that was made for this client.
    pub(super) is_proven: bool,
}

/// What an answer must look like, whatever is in it.
#[derive(Debug)]
pub(super) struct Form<'a> {
    pub(super) header: Header,
    /// Its largest size in bytes.
    pub(super) limit: usize,
    /// The OPT record that it carries, if the query had one.
    pub(super) edns: Option<EdnsReply<'a>>,
}

/// What the OPT record of the answer has.
#[derive(Debug, Default)]
pub(super) struct EdnsReply<'a> {
    pub(super) udp_payload_bytes: u16,
    pub(super) dnssec_ok: bool,
    pub(super) nsid: Option<&'a [u8]>,
    pub(super) cookie: Option<[u8; cookie::OPTION_BYTES]>,
    /// Idle timeout in units of 100 ms (RFC 7828 §3.1).
    pub(super) tcp_keepalive: Option<u16>,
}

/// What a message turned out to be.
#[derive(Debug)]
pub(super) enum Parsed<'a> {
    /// Something to answer.
    Request(Request<'a>),
    /// Only its header could be read: the code to answer with.
    Rejected(Header, Rcode),
    /// Nobody to answer.
    Drop(DropReason),
}

/// Reads a message.
///
/// `cookie` is what its COOKIE option is worth, where that is known already.
pub(super) fn parse<'a>(
    message: &'a [u8],
    client: &Client,
    settings: &'a Settings,
    now_s: u32,
    cookie: Option<Cookie>,
) -> Parsed<'a> {
    let query = match Query::parse(message) {
        Ok(query) => query,
        Err(Rejected::FormErr(header)) => return Parsed::Rejected(header, Rcode::FORMERR),
        Err(Rejected::NotImplemented(header)) => return Parsed::Rejected(header, Rcode::NOTIMP),
        // Both were looked at before; `wire` need not know that.
        Err(Rejected::Ignore(_)) => return Parsed::Drop(DropReason::Short),
    };
    let form = Form { header: query.header, limit: plain_limit(client), edns: None };
    let mut request = Request { query, form, refused: None, has_cookie: false, is_proven: false };
    if let Some(edns) = query.edns {
        let check = |data: &[u8]| {
            let ip = || client.peer.ip().to_canonical();
            cookie.unwrap_or_else(|| cookie::check(data, ip(), &settings.cookie_secrets, now_s))
        };
        read_edns(&mut request, &edns, client, settings, check);
    }
    Parsed::Request(request)
}

/// The size of an answer to a query without EDNS.
pub(super) fn plain_limit(client: &Client) -> usize {
    match client.transport {
        Transport::Udp => usize::from(UDP_PAYLOAD_BYTES_MIN),
        Transport::Tcp => wire::MESSAGE_BYTES_MAX,
    }
}

fn read_edns<'a>(
    request: &mut Request<'a>,
    edns: &Edns<'a>,
    client: &Client,
    settings: &'a Settings,
    check: impl Fn(&[u8]) -> Cookie,
) {
    let ours = settings.udp_payload_bytes_max.max(UDP_PAYLOAD_BYTES_MIN);
    if client.transport == Transport::Udp {
        request.form.limit = usize::from(edns.udp_size.clamp(UDP_PAYLOAD_BYTES_MIN, ours));
    }
    let mut reply = EdnsReply { udp_payload_bytes: ours, dnssec_ok: edns.dnssec_ok, ..EdnsReply::default() };
    if edns.version != EDNS_VERSION {
        // Nothing is known about the options of another version.
        request.refused = Some(Rcode::BADVERS);
    } else {
        request.refused = read_options(request, edns, &mut reply, client, settings, check).err();
    }
    request.form.edns = Some(reply);
}

fn read_options<'a>(
    request: &mut Request<'a>,
    edns: &Edns<'a>,
    reply: &mut EdnsReply<'a>,
    client: &Client,
    settings: &'a Settings,
    check: impl Fn(&[u8]) -> Cookie,
) -> Result<(), Rcode> {
    for (code, data) in edns.options() {
        match code {
            option::NSID => reply.nsid = settings.nsid_to_send(),
            // Only the first one counts (RFC 7873 §5.2).
            option::COOKIE if !request.has_cookie => {
                let (proven, option) = match check(data) {
                    Cookie::Off => continue,
                    Cookie::Malformed => return Err(Rcode::FORMERR),
                    Cookie::Unproven { reply } => (false, reply),
                    Cookie::Proven { reply } => (true, reply),
                };
                (request.has_cookie, request.is_proven) = (true, proven);
                reply.cookie = Some(option);
                if settings.cookies_required && !proven && client.transport == Transport::Udp {
                    request.refused = Some(Rcode::BADCOOKIE);
                }
            }
            option::TCP_KEEPALIVE if client.transport == Transport::Tcp => {
                // A client has nothing to say in it (RFC 7828 §3.2.1).
                if !data.is_empty() {
                    return Err(Rcode::FORMERR);
                }
                let units = client.idle.as_millis() / 100;
                reply.tcp_keepalive = Some(u16::try_from(units).unwrap_or(u16::MAX));
            }
            _ => {}
        }
    }
    request.refused.map_or(Ok(()), Err)
}

impl EdnsReply<'_> {
    /// Bytes of the OPT record with these options. Not counted is an extended error: an answer that has one has no
    /// sections, and so room.
    pub(super) fn bytes(&self) -> usize {
        const RECORD: usize = 11;
        const OPTION: usize = 4;
        RECORD
            + self.nsid.map_or(0, |nsid| OPTION + nsid.len())
            + self.cookie.map_or(0, |cookie| OPTION + cookie.len())
            + self.tcp_keepalive.map_or(0, |_| OPTION + 2)
    }
}
