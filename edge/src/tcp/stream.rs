//! Zone transfers over a connection: message by message, the next one made when the client has taken the one before.

use std::time::Duration;

use tokio::{task::yield_now, time::Instant};

use super::{
    Lane,
    connection::{Connection, Ended},
};
use crate::{
    line::{Client, MessageStream, NextMessage},
    stats::{Counters, DropReason},
    watchdog::Stage,
};

/// Longest that one transfer may take, however steadily its client takes it: it holds a whole version of a zone.
const TRANSFER_DURATION_MAX: Duration = Duration::from_secs(15 * 60);

impl Connection {
    /// Sends the transfer that a message asked for. Queries that came behind it wait.
    pub(super) async fn send_stream(
        &mut self,
        mut stream: Box<dyn MessageStream>,
        message: &[u8],
    ) -> Result<(), Ended> {
        let until = Instant::now() + TRANSFER_DURATION_MAX;
        // What was asked before it is answered before it.
        self.send().await?;
        while Instant::now() < until {
            match self.next_message(&mut *stream, message) {
                NextMessage::Message(_) => self.send().await?,
                NextMessage::End => return Ok(()),
                NextMessage::Broken => break,
            }
            // Making a message takes a while, and others are served by this thread.
            yield_now().await;
        }
        Err(Ended::Dropped(DropReason::Transfer))
    }
}

impl Lane {
    /// Puts the next message of a transfer behind what is pending, with its length in front.
    pub(super) fn next_message(
        &self,
        stream: &mut dyn MessageStream,
        message: &[u8],
        client: &Client,
        pending: &mut Vec<u8>,
    ) -> NextMessage {
        let mut scratch = self.scratch.borrow_mut();
        let make = || {
            self.desk.turn_to(Stage::Answering);
            stream.next(&mut scratch)
        };
        let next = self.work(message, client, NextMessage::Broken, make);
        let NextMessage::Message(length) = next else { return next };
        match (scratch.get(..length), u16::try_from(length)) {
            (Some(message), Ok(prefix)) => {
                pending.extend_from_slice(&prefix.to_be_bytes());
                pending.extend_from_slice(message);
                count(&self.counters, message);
                next
            }
            _ => NextMessage::Broken,
        }
    }
}

fn count(counters: &Counters, message: &[u8]) {
    if let Ok(header) = wire::Header::parse(message) {
        counters.answer(header.flags.rcode(), header.flags.tc(), message.len());
    }
}
