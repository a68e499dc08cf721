//! An interface whose other end is in the hands of the program: it sends and receives whole Ethernet frames, such as no socket
//! sends.

use std::{io, time::Duration};

use tun_rs::SyncDevice;

use crate::{LabError, Namespace, until, wires};

/// Longest frame that is received: more than any that these interfaces carry.
const FRAME_BYTES_MAX: usize = 4096;

/// The program's end; the interface is gone when this is.
pub struct Tap {
    device: SyncDevice,
    interface: String,
}

impl Namespace {
    /// A new interface, which is up, and its other end. Needs `/dev/net/tun`.
    pub fn tap(&self, interface: &str) -> Result<Tap, LabError> {
        let device = wires::open_tap(self, interface)?;
        self.set_up(interface, true)?;
        Ok(Tap { device, interface: interface.to_owned() })
    }
}

impl Tap {
    /// Have the interface receive a frame.
    pub fn send(&self, frame: &[u8]) -> Result<(), LabError> {
        self.device.send(frame).map(drop).map_err(LabError::io(format!("sending a frame to {}", self.interface)))
    }

    /// The next frame that the interface sends and that is `wanted`; others are passed over.
    pub fn receive(&self, deadline: Duration, wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, LabError> {
        let mut buffer = [0; FRAME_BYTES_MAX];
        until(format!("a frame from {}", self.interface), deadline, || {
            loop {
                match self.device.recv(&mut buffer) {
                    Ok(length) => match buffer.get(..length).filter(|frame| wanted(frame)) {
                        Some(frame) => return Some(Ok(frame.to_vec())),
                        None => continue,
                    },
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
        })?
        .map_err(LabError::io(format!("receiving a frame from {}", self.interface)))
    }
}
