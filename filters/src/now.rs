//! The time, as whoever calls has it.

/// Microseconds since some moment before the first call; never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(u64);

impl Now {
    /// So many microseconds.
    pub fn from_us(us: u64) -> Now {
        Now(us)
    }

    /// In microseconds.
    pub fn us(self) -> u64 {
        self.0
    }

    /// In whole milliseconds.
    pub fn ms(self) -> u64 {
        self.0 / 1000
    }

    /// In whole seconds.
    pub fn s(self) -> u64 {
        self.0 / 1_000_000
    }
}
