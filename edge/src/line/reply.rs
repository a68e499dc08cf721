//! The frame of every answer: header, question, OPT; what stands between is written by others.

use wire::{Flags, Full, Header, Question, Rcode, Writer, edns::option};

use crate::line::{
    promote::Promotable,
    request::{EdnsReply, Form},
};

/// Extended DNS errors that are sent (RFC 8914 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum ExtendedError {
    /// The origin is silent; the answer is older than its TTL (RFC 8767).
    StaleAnswer = 3,
    /// The zone is configured, but no copy of it has arrived yet; or its origin is asked too much already.
    NotReady = 14,
    /// Transfers are for the nodes of the network, not for clients.
    Prohibited = 18,
    /// The same as a stale answer, of a name that was not there.
    StaleNxdomain = 19,
    /// Not a zone of ours.
    NotAuthoritative = 20,
    /// This kind of query is not there.
    NotSupported = 21,
    /// No origin answers.
    NoReachableAuthority = 22,
    /// No origin answers in a way that could be used.
    NetworkError = 23,
    /// The zone's data have expired.
    InvalidData = 24,
    /// Made from NSEC records that were learned before (RFC 8198).
    Synthesized = 29,
}

/// An answer that is being written.
#[derive(Debug)]
pub(super) struct Reply<'b, 'f> {
    pub(super) writer: Writer<'b>,
    form: &'f Form<'f>,
    rcode: Rcode,
    extended_error: Option<ExtendedError>,
    /// What is to be known of it, if it is whole and the same for all who ask its question.
    pub(super) promotable: Option<Promotable>,
}

/// An answer that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) bytes: usize,
    pub(super) rcode: Rcode,
    pub(super) truncated: bool,
    /// It may be given to others as it is.
    pub(super) promotable: Option<Promotable>,
}

impl<'b, 'f> Reply<'b, 'f> {
    /// Begins the answer with the question, in the client's own case; room for the OPT record is kept.
    #[inline]
    pub(super) fn begin(out: &'b mut [u8], form: &'f Form<'f>, question: Option<&Question<'_>>) -> Result<Self, Full> {
        let opt_bytes = form.edns.as_ref().map_or(0, |edns| edns.bytes());
        let mut writer = Writer::new(out, form.limit.saturating_sub(opt_bytes))?;
        writer.set_id(form.header.id);
        writer.set_flags(reply_flags(form.header));
        if let Some(question) = question {
            writer.question(question.name, question.rtype, question.class)?;
        }
        Ok(Reply { writer, form, rcode: Rcode::NOERROR, extended_error: None, promotable: None })
    }

    /// Whether the client wants DNSSEC records.
    pub(super) fn dnssec_ok(&self) -> bool {
        self.form.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
    }

    pub(super) fn set_rcode(&mut self, rcode: Rcode) {
        self.rcode = rcode;
    }

    /// Sets a code, and explains it to clients that speak EDNS.
    pub(super) fn refuse(&mut self, rcode: Rcode, error: Option<ExtendedError>) {
        self.rcode = rcode;
        self.extended_error = error;
    }

    /// Explains an answer that has sections: room for that is kept.
    pub(super) fn explain(&mut self, error: ExtendedError) {
        const OPTION_BYTES: usize = 4 + 2;
        if self.form.edns.is_some() {
            self.extended_error = Some(error);
            self.writer.set_limit((self.writer.len() + self.writer.room()).saturating_sub(OPTION_BYTES));
        }
    }

    /// Whether the answer may be as long as any message: over a stream.
    pub(super) fn is_unlimited(&self) -> bool {
        self.form.limit >= wire::MESSAGE_BYTES_MAX
    }

    pub(super) fn set_authoritative(&mut self, on: bool) {
        self.writer.set_flags(self.writer.flags().with_aa(on));
    }

    pub(super) fn set_truncated(&mut self) {
        self.writer.set_flags(self.writer.flags().with_tc(true));
    }

    /// Writes the OPT record and the header.
    #[inline]
    pub(super) fn finish(self) -> Finished {
        self.finish_with(|_| ())
    }

    /// The same, with something that has to stand behind OPT.
    #[inline]
    pub(super) fn finish_with(mut self, last: impl FnOnce(&mut Writer<'b>)) -> Finished {
        let (rcode, truncated) = (self.rcode, self.writer.flags().tc());
        let promotable = self.promotable.filter(|_| !truncated && self.extended_error.is_none());
        self.writer.set_flags(self.writer.flags().with_rcode(rcode));
        self.writer.set_limit(self.form.limit);
        self.write_opt();
        last(&mut self.writer);
        Finished { bytes: self.writer.finish(), rcode, truncated, promotable }
    }

    fn write_opt(&mut self) {
        let Reply { writer, form, rcode, extended_error, .. } = self;
        if let Some(edns) = &form.edns {
            let extended_rcode = (rcode.0 >> 4) as u8;
            let written = writer.opt(edns.udp_payload_bytes, extended_rcode, 0, edns.dnssec_ok, |options| {
                if let Some(nsid) = edns.nsid {
                    options.option(option::NSID, nsid)?;
                }
                if let Some(cookie) = &edns.cookie {
                    options.option(option::COOKIE, cookie)?;
                }
                if let Some(units) = edns.tcp_keepalive {
                    options.option(option::TCP_KEEPALIVE, &units.to_be_bytes())?;
                }
                if let Some(error) = extended_error {
                    options.option(option::EXTENDED_ERROR, &(*error as u16).to_be_bytes())?;
                }
                Ok(())
            });
            debug_assert_eq!(written, Ok(()), "room was kept for it");
        }
    }
}

/// The flags of an answer to `header`: opcode, RD and CD are the client's (RFC 1035 §4.1.1, RFC 4035 §3.1.6), RA and AD
/// are never set by a server that neither recurses nor validates.
fn reply_flags(header: Header) -> Flags {
    Flags::default()
        .with_qr(true)
        .with_opcode(header.flags.opcode())
        .with_rd(header.flags.rd())
        .with_cd(header.flags.cd())
}

/// An answer that only says that the client is to ask again over TCP, and is no longer than its query: whoever is made to
/// get it, it is not worth their while who make it so.
pub(super) fn write_slip(
    out: &mut [u8],
    form: &Form<'_>,
    question: Option<&Question<'_>>,
    query_bytes: usize,
) -> Finished {
    let limit = form.limit.min(query_bytes);
    let with = |out: &mut [u8], cookie: bool| {
        let edns = form.edns.as_ref().map(|edns| EdnsReply {
            udp_payload_bytes: edns.udp_payload_bytes,
            dnssec_ok: edns.dnssec_ok,
            cookie: edns.cookie.filter(|_| cookie),
            ..EdnsReply::default()
        });
        let form = Form { header: form.header, limit, edns };
        let mut reply = Reply::begin(out, &form, question)?;
        // Where the rest is written without looking, it has to fit.
        if reply.writer.len() + form.edns.as_ref().map_or(0, EdnsReply::bytes) > limit {
            return Err(Full);
        }
        reply.set_truncated();
        Ok(reply.finish())
    };
    let finished = with(out, true).or_else(|Full| with(out, false));
    finished.unwrap_or_else(|Full| write_bare_slip(out, form.header, Rcode::NOERROR))
}

/// The same to what could not be read further.
pub(super) fn write_bare_slip(out: &mut [u8], header: Header, rcode: Rcode) -> Finished {
    let finished = write_bare(out, header, rcode);
    if let Some(flags) = out.get_mut(2) {
        *flags |= TC;
    }
    Finished { truncated: true, ..finished }
}

/// The TC bit in the third octet of a header (RFC 1035 §4.1.1).
const TC: u8 = 0x02;

/// An answer of a header alone, to what could not be read further. `out` must hold at least a header.
pub(super) fn write_bare(out: &mut [u8], header: Header, rcode: Rcode) -> Finished {
    let flags = reply_flags(header).with_rcode(rcode);
    let Some(place) = out.first_chunk_mut() else {
        return Finished { bytes: 0, rcode, truncated: false, promotable: None };
    };
    *place = Header { id: header.id, flags, ..Header::default() }.to_bytes();
    Finished { bytes: place.len(), rcode, truncated: false, promotable: None }
}
