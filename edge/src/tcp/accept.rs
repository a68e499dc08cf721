//! Which clients get a connection, and who has to make room for them.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use super::{
    Lane, Phase,
    connection::{Connection, Ended},
    cost::{Meter, Payer, metered},
    limits::{Newcomer, prefix_of},
};
use crate::{clock::filter_time, stats::DropReason};

/// Pause after a failed accept (no descriptors left, say), so that a full process does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the edge stops, then waits for them to end.
pub(super) async fn accept(listener: TcpListener, lane: Rc<Lane>, mut phase: watch::Receiver<Phase>) {
    let mut open = JoinSet::new();
    while *phase.borrow_and_update() == Phase::Serving {
        let pause = lane.costs.accept_wait_us(filter_time().us());
        tokio::select! {
            accepted = listener.accept(), if pause.is_none() => match accepted {
                Ok((stream, peer)) => lane.greet(stream, peer, &phase, &mut open),
                Err(error) => {
                    tracing::debug!(%error, "the TCP lane cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            () = sleep(Duration::from_micros(pause.unwrap_or_default())), if pause.is_some() => {}
            Some(_) = open.join_next() => {}
            _ = phase.changed() => {}
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

impl Lane {
    /// Lets a connection in, or closes it at once.
    fn greet(
        self: &Rc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        phase: &watch::Receiver<Phase>,
        open: &mut JoinSet<()>,
    ) {
        let policy = self.policies.policy();
        let ip = peer.ip().to_canonical();
        let prefix = prefix_of(ip, policy.defences.ipv4_prefix, policy.defences.ipv6_prefix);
        let exempt = self.shared.own_questions.is_from_us(peer) || self.filters.is_stream_exempt(ip);
        let payer = self.costs.payer(prefix);
        let now = filter_time();
        let newcomer = Newcomer { ip, prefix, exempt, thread: self.desk.number, now_ms: now.ms() };
        let in_time = exempt || self.costs.takes_connection(payer, self.connections.is_scarce(), now.us());
        let percent = policy.defences.stream_cpu_percent;
        if !in_time && self.filters.limit_stream(ip, true) {
            self.counters.dropped(DropReason::TcpAcceptRate, 1);
            drop(stream);
            return self.costs.charge(payer, || percent);
        }
        let settings = self.shared.settings.load();
        let make_room = |whose| self.filters.limit_stream(whose, true);
        match self.connections.admit(newcomer, &settings.tcp, make_room) {
            Ok(slot) => {
                self.counters.connection();
                let connection = Connection::new(stream, peer, Rc::clone(self), Arc::clone(slot.place()));
                let (lane, phase) = (Rc::clone(self), phase.clone());
                open.spawn_local(async move {
                    let ended = tokio::select! {
                        ended = lane.metered(ip, exempt, payer, connection.serve(phase)) => ended,
                        () = slot.place().told_to_leave() => Ended::Dropped(DropReason::TcpMadeRoom),
                    };
                    if let Ended::Dropped(reason) = ended {
                        lane.counters.dropped(reason, 1);
                    }
                    drop(slot);
                });
            }
            Err(reason) => self.counters.dropped(reason, 1),
        }
        self.costs.charge(payer, || percent);
    }

    /// Charges what a connection costs, and has it wait when that is too much.
    async fn metered<F: Future>(&self, ip: IpAddr, exempt: bool, payer: Payer, work: F) -> F::Output {
        let meter = Meter { costs: Rc::clone(&self.costs), payer };
        let waits = || !exempt && self.filters.limit_stream(ip, false);
        let percent = || self.policies.policy().defences.stream_cpu_percent;
        metered(meter, waits, percent, work).await
    }
}
