//! Real-time priority for one thread: it sends on time however busy the machine is.
//!
//! Priority is taken by the thread itself while it has the right to, and stays when that goes. The thread does so little,
//! and pauses under a flood (see `driver`), that it cannot keep a core from others.

use caps::CapSet;
use caps::errors::CapsError;
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use thread_priority::{Error, ThreadPriority};

/// What came of asking for priority.
pub(super) struct Taken(Result<(), Error>);

/// Gives the current thread the lowest real-time priority, which is above everything ordinary, if that is allowed.
pub(super) fn take() -> Taken {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    Taken(set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy))
}

/// Gives up what capabilities the current thread has: it was started before the process gave up its own.
pub(super) fn give_up() -> Result<(), CapsError> {
    [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable]
        .into_iter()
        .try_for_each(|set| caps::clear(None, set))?;
    nix::sys::prctl::set_no_new_privs().map_err(|why| CapsError::from(why.to_string()))
}

impl Taken {
    pub(super) fn log(self, is_needed: bool) {
        match self.0 {
            Ok(()) => tracing::debug!("BFD has real-time priority"),
            Err(_) if !is_needed => {}
            Err(why) => tracing::warn!(
                ?why,
                "BFD has no real-time priority, and on a busy machine its sessions may fail: \
                 start as root or with CAP_SYS_NICE, or allow it (LimitRTPRIO=1)"
            ),
        }
    }
}
