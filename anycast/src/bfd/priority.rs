//! Real-time priority for one thread: it sends on time however busy the machine is.
//!
//! The right to it is a resource limit, taken while the process has its privileges; the limit stays when they go. The
//! thread does so little, and pauses under a flood (see `driver`), that it cannot keep a core from others.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// The lowest real-time priority, above everything ordinary.
const PRIORITY: u8 = 1;

/// Raises the limit, if the process may; otherwise what it was started with holds.
pub(super) fn raise_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_RTPRIO)
        && most < PRIORITY.into()
        && let Err(why) = setrlimit(Resource::RLIMIT_RTPRIO, PRIORITY.into(), PRIORITY.into())
    {
        tracing::debug!(%why, "the right to real-time priority cannot be taken");
    }
}

/// Gives the current thread real-time priority, if the limit allows it.
pub(super) fn take() {
    let Ok(priority) = ThreadPriorityValue::try_from(PRIORITY) else { return };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    match set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy) {
        Ok(()) => tracing::debug!("BFD has real-time priority"),
        Err(why) => tracing::warn!(
            ?why,
            "BFD has no real-time priority: on a busy machine its sessions may fail; start as root, or allow it (LimitRTPRIO=1)"
        ),
    }
}
