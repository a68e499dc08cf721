//! BFD Control packets (RFC 5880 §4.1), to and from bytes.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       My Discriminator                        |
//! |                      Your Discriminator                       |
//! |                    Desired Min TX Interval                    |
//! |                   Required Min RX Interval                    |
//! |                 Required Min Echo RX Interval                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

/// Bytes of a packet without an authentication section; all that are sent have so many.
pub(crate) const PACKET_BYTES: usize = 24;
/// The version of the protocol.
const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION_PRESENT: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// The state of a session (RFC 5880 §6.1, §6.2); the numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Held down by an administrator: says nothing about the path.
    AdminDown = 0,
    /// No packets arrive, or the other side says that ours do not.
    Down = 1,
    /// Packets arrive; whether ours do is not known yet.
    Init = 2,
    /// Packets go both ways.
    Up = 3,
}

impl State {
    /// As it is written in a status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AdminDown => "admin-down",
            Self::Down => "down",
            Self::Init => "init",
            Self::Up => "up",
        }
    }

    fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }
}

/// Why a session left `Up` last (RFC 5880 §4.1); any number of five bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic(pub(crate) u8);

impl Diagnostic {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// Control Detection Time Expired.
    pub const EXPIRED: Self = Self(1);
    /// Neighbor Signaled Session Down.
    pub const SIGNALLED_DOWN: Self = Self(3);
    /// Administratively Down.
    pub const ADMIN_DOWN: Self = Self(7);

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self.0 {
            0 => "none",
            1 => "nothing was heard for the detection time",
            2 => "the echo function failed",
            3 => "the neighbour signalled that the session is down",
            4 => "the forwarding plane was reset",
            5 => "the path is down",
            6 => "a concatenated path is down",
            7 => "held down by an administrator",
            8 => "a reverse concatenated path is down",
            _ => "unknown",
        }
    }
}

/// A BFD Control packet; intervals in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) state: State,
    pub(crate) poll: bool,
    pub(crate) is_final: bool,
    pub(crate) control_plane_independent: bool,
    pub(crate) demand: bool,
    /// Never 0.
    pub(crate) detect_mult: u8,
    /// Never 0.
    pub(crate) my_discriminator: u32,
    pub(crate) your_discriminator: u32,
    pub(crate) desired_min_tx_us: u32,
    pub(crate) required_min_rx_us: u32,
    pub(crate) required_min_echo_rx_us: u32,
}

/// Why bytes are no packet for us (RFC 5880 §6.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Fewer bytes than a packet has, or than it says it has.
    Short,
    Version,
    /// It says that it has fewer bytes than any packet has.
    Length,
    DetectMult,
    Multipoint,
    /// It has, or says that it has, an authentication section; this side uses none.
    Authentication,
    MyDiscriminator,
    /// It belongs to no session, yet its sender's state says that it has one.
    YourDiscriminator,
}

impl Packet {
    /// Reads a packet; bytes after its own Length do not matter.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((packet, _)) = bytes.split_first_chunk::<PACKET_BYTES>() else { return Err(Malformed::Short) };
        let [first, flags, detect_mult, length, words @ ..] = *packet;
        if first >> 5 != VERSION {
            return Err(Malformed::Version);
        }
        if usize::from(length) < PACKET_BYTES {
            return Err(Malformed::Length);
        }
        if usize::from(length) > bytes.len() {
            return Err(Malformed::Short);
        }
        if detect_mult == 0 {
            return Err(Malformed::DetectMult);
        }
        if flags & MULTIPOINT != 0 {
            return Err(Malformed::Multipoint);
        }
        if flags & AUTHENTICATION_PRESENT != 0 {
            return Err(Malformed::Authentication);
        }
        let mut words = words.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let packet = Self {
            diagnostic: Diagnostic(first & 0x1f),
            state: State::from_bits(flags >> 6),
            poll: flags & POLL != 0,
            is_final: flags & FINAL != 0,
            control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
            demand: flags & DEMAND != 0,
            detect_mult,
            my_discriminator: word(),
            your_discriminator: word(),
            desired_min_tx_us: word(),
            required_min_rx_us: word(),
            required_min_echo_rx_us: word(),
        };
        if packet.my_discriminator == 0 {
            return Err(Malformed::MyDiscriminator);
        }
        if packet.your_discriminator == 0 && matches!(packet.state, State::Init | State::Up) {
            return Err(Malformed::YourDiscriminator);
        }
        Ok(packet)
    }

    /// The packet's bytes.
    pub(crate) fn encode(&self) -> [u8; PACKET_BYTES] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = (self.state as u8) << 6
            | flag(self.poll, POLL)
            | flag(self.is_final, FINAL)
            | flag(self.control_plane_independent, CONTROL_PLANE_INDEPENDENT)
            | flag(self.demand, DEMAND);
        let words = [
            u32::from_be_bytes([VERSION << 5 | self.diagnostic.0 & 0x1f, flags, self.detect_mult, PACKET_BYTES as u8]),
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx_us,
            self.required_min_rx_us,
            self.required_min_echo_rx_us,
        ];
        let mut bytes = [0; PACKET_BYTES];
        for (chunk, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *chunk = word.to_be_bytes();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIRD's first packet of a session at 50 ms × 3: Down, nothing known of the other side.
    const FIRST: [u8; 24] =
        [0x20, 0x40, 0x03, 0x18, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 0, 0, 0xc3, 0x50, 0, 0, 0, 0];

    fn first() -> Packet {
        Packet {
            diagnostic: Diagnostic::NONE,
            state: State::Down,
            poll: false,
            is_final: false,
            control_plane_independent: false,
            demand: false,
            detect_mult: 3,
            my_discriminator: 0xdead_beef,
            your_discriminator: 0,
            desired_min_tx_us: 1_000_000,
            required_min_rx_us: 50_000,
            required_min_echo_rx_us: 0,
        }
    }

    #[test]
    fn bytes_and_back() {
        assert_eq!(Packet::decode(&FIRST), Ok(first()));
        assert_eq!(first().encode(), FIRST);
        for state in [State::AdminDown, State::Down, State::Init, State::Up] {
            for bits in 0..16 {
                let packet = Packet {
                    state,
                    poll: bits & 1 != 0,
                    is_final: bits & 2 != 0,
                    control_plane_independent: bits & 4 != 0,
                    demand: bits & 8 != 0,
                    diagnostic: Diagnostic(bits),
                    your_discriminator: 7,
                    required_min_echo_rx_us: 9,
                    ..first()
                };
                assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
            }
        }
    }

    /// RFC 5880 §6.8.6, in its order.
    #[test]
    fn what_is_no_packet_is_discarded() {
        let with = |index: usize, value: u8| {
            let mut bytes = FIRST;
            bytes[index] = value;
            Packet::decode(&bytes)
        };
        assert_eq!(with(0, 0x00), Err(Malformed::Version));
        assert_eq!(with(0, 0x40), Err(Malformed::Version));
        assert_eq!(with(3, 23), Err(Malformed::Length));
        assert_eq!(with(3, 25), Err(Malformed::Short));
        assert_eq!(with(2, 0), Err(Malformed::DetectMult));
        assert_eq!(with(1, 0x41), Err(Malformed::Multipoint));
        assert_eq!(with(1, 0x44), Err(Malformed::Authentication));
        assert_eq!(with(1, 0x80), Err(Malformed::YourDiscriminator));
        assert_eq!(with(1, 0xc0), Err(Malformed::YourDiscriminator));
        assert!(with(1, 0x00).is_ok(), "AdminDown needs no discriminator of ours");
        let mut bytes = FIRST;
        bytes[4..8].fill(0);
        assert_eq!(Packet::decode(&bytes), Err(Malformed::MyDiscriminator));
        for length in 0..FIRST.len() {
            assert_eq!(Packet::decode(&FIRST[..length]), Err(Malformed::Short));
        }
        let mut longer = FIRST.to_vec();
        longer.extend([0xff; 40]);
        assert_eq!(Packet::decode(&longer), Ok(first()));
    }
}
