//! Between find and answer: the filters' word on what was found, before anything of it is written.

use filters::{Admission, Found, Kind, Verdict, View, ZoneNumber};
use wire::NameRef;
use zones::ZoneSlot;

use crate::{line::Context, stats::Transport};

/// What was found for a query.
#[derive(Clone, Copy)]
pub(super) struct Finding<'a> {
    pub(super) kind: Kind,
    /// For how long the client has no need to ask again, in seconds.
    pub(super) ttl_s: u32,
    /// Of a referral: where it leads to.
    pub(super) cut: Option<NameRef<'a>>,
    /// It has been asked for before: a copy of an origin's answer.
    pub(super) is_hit: bool,
}

impl Finding<'_> {
    /// A code and no data.
    pub(super) const ERROR: Finding<'static> = Finding { kind: Kind::Error, ttl_s: 0, cut: None, is_hit: false };
}

/// Who asks, with all that the filters know so far.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) view: &'a View<'a>,
    pub(super) admission: &'a Admission,
    pub(super) transport: Transport,
}

impl Asker<'_> {
    /// Whether nothing may be done to it: what is judged about it need not be known.
    #[inline]
    pub(super) fn is_exempt(&self) -> bool {
        self.admission.exempt
    }

    /// Judges what was found in a zone, or outside of all.
    #[inline]
    pub(super) fn judge(&self, slot: Option<&ZoneSlot>, finding: Finding<'_>) -> Verdict {
        if self.is_exempt() {
            return Verdict::Serve;
        }
        let zone = slot.map(|slot| (ZoneNumber(slot.number()), slot.apex()));
        let Finding { kind, ttl_s, cut, is_hit } = finding;
        self.mind(self.context.gate.judge(self.view, self.admission, &Found { zone, kind, ttl_s, cut, is_hit }))
    }

    /// Judges a query whose answer would have to be asked for at the origin of its zone.
    pub(super) fn judge_miss(&self, slot: &ZoneSlot) -> Verdict {
        if self.is_exempt() {
            return Verdict::Serve;
        }
        let zone = (ZoneNumber(slot.number()), slot.apex());
        self.mind(self.context.gate.judge_miss(self.view, self.admission, zone))
    }

    /// Over a stream there is nothing left to prove.
    pub(super) fn mind(&self, verdict: Verdict) -> Verdict {
        match (verdict, self.transport) {
            (Verdict::Slip(_), Transport::Tcp) => Verdict::Serve,
            _ => verdict,
        }
    }
}
