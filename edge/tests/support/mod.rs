//! What the tests share: a handler that refuses NOTIFY, messages over TCP, and the kernel lane's program without a network.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod flood;
#[cfg(feature = "kernel")]
pub(crate) mod frames;
#[cfg(feature = "kernel")]
pub(crate) mod origin;
#[cfg(feature = "kernel")]
pub(crate) mod rig;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use config::Defences;
use edge::{NotifyHandler, NotifyOutcome};
use filters::Filters;

/// Whatever is waited for comes within this time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// All filters are on, and never limit who asks over the loopback interface: a test asks more than one client may.
pub(crate) fn filters_but_for_loopback() -> Arc<Filters> {
    filters_but_for_loopback_and(|_| ())
}

/// The same with something else.
pub(crate) fn filters_but_for_loopback_and(change: impl FnOnce(&mut Defences)) -> Arc<Filters> {
    let allow = ["127.0.0.0/8", "::1/128"].map(|prefix| prefix.parse().unwrap()).to_vec();
    let mut defences = Defences { allow, ..Defences::default() };
    change(&mut defences);
    Arc::new(Filters::new(&defences, [1, 2]))
}

/// Refuses every NOTIFY.
pub(crate) struct NoNotify;

impl NotifyHandler for NoNotify {
    fn handle(&self, _: &[u8], _: SocketAddr, _: &mut [u8]) -> NotifyOutcome {
        NotifyOutcome::Refuse
    }
}

/// A message with its length in front.
pub(crate) fn prefixed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

pub(crate) fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("the length of an answer");
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).expect("an answer");
    message
}
