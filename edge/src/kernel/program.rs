//! The program and its maps, loaded into the kernel.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{self, Map, MapData, RingBuf, lpm_trie},
    pin::PinError,
    programs::{ProgramError, TestRun as _, TestRunOptions, Xdp},
};

use super::{KernelError, layout, memory, pins::Pins};

/// The object that build.rs compiled.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/parapet.bpf.o"));
/// The name of the program in the object.
const NAME: &str = "parapet";
/// Room for the longest frame that a run gives back: what fits into the page that the kernel takes for it.
const FRAME_BYTES_MAX: usize = 4096;

/// The program and its maps. It answers nothing until it is attached, and [`layout::POLICY_ON`] is set.
pub struct Program {
    ebpf: Ebpf,
    maps: HashMap<String, Map>,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What the kernel would have done with it.
    pub action: Action,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
    /// How long one run took, the mean of all.
    pub nanoseconds: u64,
}

/// What the program has the kernel do with a frame (`enum xdp_action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// XDP_PASS: the network stack gets it.
    Pass,
    /// XDP_TX: it leaves where it came in.
    Send,
    /// XDP_DROP.
    Drop,
    /// Any other, which the program never says.
    Other(u32),
}

impl From<u32> for Action {
    fn from(action: u32) -> Self {
        match action {
            1 => Action::Drop,
            2 => Action::Pass,
            3 => Action::Send,
            other => Action::Other(other),
        }
    }
}

impl Program {
    /// Loads the program with room for at least so many answers. Needs CAP_BPF and CAP_NET_ADMIN.
    ///
    /// # Errors
    ///
    /// Why the kernel has it not.
    pub fn load(answers: usize) -> Result<Self, KernelError> {
        let sets = sets_for(answers);
        let entries = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mut loader = EbpfLoader::new();
        loader.map_max_entries("tags", entries(sets));
        for name in ["slots", "texts"] {
            loader.map_max_entries(name, entries(sets * layout::WAYS));
        }
        let program = Self::load_by(&mut loader)?;
        let policy = program.array("policy")?;
        policy[layout::POLICY_SET_MASK].store(sets as u64 - 1, Relaxed);
        policy[layout::POLICY_VERSION].store(version(sets), Relaxed);
        Ok(program)
    }

    /// Loads the program over the maps that a daemon before left, with all that they hold, if they are as this program has
    /// them.
    pub(super) fn take_over(pins: &Pins, answers: usize) -> Option<Result<Self, KernelError>> {
        let policy = MapData::from_pin(pins.map("policy")).ok()?;
        let policy = memory::words(policy.fd().as_fd(), layout::POLICY_WORDS * size_of::<u64>()).ok()?;
        if policy[layout::POLICY_VERSION].load(Relaxed) != version(sets_for(answers)) {
            return None;
        }
        let names = pins.maps();
        let mut loader = EbpfLoader::new();
        for name in &names {
            loader.map_pin_path(name, pins.map(name));
        }
        Some(Self::load_by(&mut loader))
    }

    fn load_by(loader: &mut EbpfLoader<'_>) -> Result<Self, KernelError> {
        // Of each there is one element a processor, 48 KiB of the second.
        let processors = u32::try_from(super::filters::processors()).unwrap_or(u32::MAX);
        loader.map_max_entries("lane_counts", processors).map_max_entries("lane_zones", processors);
        let mut ebpf = loader.load(OBJECT).map_err(KernelError::Load)?;
        let names: Vec<String> = ebpf.maps().map(|(name, _)| name.to_owned()).collect();
        let maps = names.into_iter().filter_map(|name| ebpf.take_map(&name).map(|map| (name, map))).collect();
        let mut program = Self { ebpf, maps };
        program.xdp().and_then(Xdp::load).map_err(KernelError::Verify)?;
        Ok(program)
    }

    /// Has the maps outlive this process. The program itself lives as long as it is on an interface.
    pub(super) fn pin(&self, pins: &Pins) -> Result<(), PinError> {
        // Those with a dot are the program's constants, which come with it.
        let mut kept = self.maps.iter().filter(|(name, _)| !name.contains('.'));
        kept.try_for_each(|(name, map)| map.pin(pins.map(name)))
    }

    pub(super) fn xdp(&mut self) -> Result<&mut Xdp, ProgramError> {
        self.ebpf.program_mut(NAME).ok_or(ProgramError::NotLoaded)?.try_into()
    }

    /// An array that can be mapped, as words: all its elements, each rounded up to whole words. It stays mapped for as
    /// long as the process lives, whatever becomes of the program.
    ///
    /// # Errors
    ///
    /// There is no such array, or no memory.
    pub fn array(&self, name: &str) -> Result<&'static [AtomicU64], KernelError> {
        let (array, bytes) = self.shared(name)?;
        memory::words(array.fd().as_fd(), bytes).map_err(|source| KernelError::Memory { map: name.to_owned(), source })
    }

    /// The array `tags`: one for each way of each set.
    ///
    /// # Errors
    ///
    /// There is no such array, or no memory.
    pub fn tags(&self) -> Result<&'static [AtomicU16], KernelError> {
        let (array, bytes) = self.shared("tags")?;
        let failed = |source| KernelError::Memory { map: "tags".to_owned(), source };
        memory::halves(array.fd().as_fd(), bytes).map_err(failed)
    }

    /// The same memory as [`Program::array`] gives, at another address: for tables of another crate.
    ///
    /// # Errors
    ///
    /// There is no such array, or no memory.
    pub fn take_bytes(&self, name: &str) -> Result<&'static mut [u8], KernelError> {
        let (array, bytes) = self.shared(name)?;
        memory::bytes(array.fd().as_fd(), bytes).map_err(|source| KernelError::Memory { map: name.to_owned(), source })
    }

    /// A ring buffer, which is there once.
    ///
    /// # Errors
    ///
    /// There is none of this name any more, or no memory.
    pub fn take_ring(&mut self, name: &str) -> Result<RingBuf<MapData>, KernelError> {
        let map = self.maps.remove(name).ok_or_else(|| KernelError::NoSuchMap(name.to_owned()))?;
        RingBuf::try_from(map).map_err(|source| KernelError::Map { map: name.to_owned(), source })
    }

    /// Has packets to `address` looked at.
    ///
    /// # Errors
    ///
    /// There is no room for another.
    pub fn serve_at(&mut self, address: SocketAddr) -> Result<(), KernelError> {
        self.put("services", service(address), [1])
    }

    /// Has packets to `address` passed up.
    ///
    /// # Errors
    ///
    /// The system's reason.
    pub fn leave(&mut self, address: SocketAddr) -> Result<(), KernelError> {
        self.take::<20, 1>("services", service(address))
    }

    /// Puts an entry into a hash map, in place of the one that is there.
    ///
    /// # Errors
    ///
    /// There is no such map, or no room.
    pub fn put<const K: usize, const V: usize>(
        &mut self,
        name: &str,
        key: [u8; K],
        value: [u8; V],
    ) -> Result<(), KernelError> {
        let failed = |source| KernelError::Map { map: name.to_owned(), source };
        let mut entries = maps::HashMap::<_, [u8; K], [u8; V]>::try_from(self.map_mut(name)?).map_err(failed)?;
        entries.insert(key, value, 0).map_err(failed)
    }

    /// Takes an entry out of a hash map, if it is there.
    ///
    /// # Errors
    ///
    /// There is no such map, or the system's reason.
    pub fn take<const K: usize, const V: usize>(&mut self, name: &str, key: [u8; K]) -> Result<(), KernelError> {
        let failed = |source| KernelError::Map { map: name.to_owned(), source };
        let mut entries = maps::HashMap::<_, [u8; K], [u8; V]>::try_from(self.map_mut(name)?).map_err(failed)?;
        absent_is_well(entries.remove(&key)).map_err(failed)
    }

    /// Puts a prefix of an address (IPv4 mapped, its bits counted from the first of the 16 octets) into a longest-prefix
    /// map, in place of the one that is there.
    ///
    /// # Errors
    ///
    /// There is no such map, or no room.
    pub fn put_prefix<const V: usize>(
        &mut self,
        name: &str,
        address: [u8; 16],
        bits: u32,
        value: [u8; V],
    ) -> Result<(), KernelError> {
        let failed = |source| KernelError::Map { map: name.to_owned(), source };
        let mut entries = maps::LpmTrie::<_, [u8; 16], [u8; V]>::try_from(self.map_mut(name)?).map_err(failed)?;
        entries.insert(&lpm_trie::Key::new(bits, address), value, 0).map_err(failed)
    }

    /// Takes a prefix out of a longest-prefix map, if it is there.
    ///
    /// # Errors
    ///
    /// There is no such map, or the system's reason.
    pub fn take_prefix<const V: usize>(&mut self, name: &str, address: [u8; 16], bits: u32) -> Result<(), KernelError> {
        let failed = |source| KernelError::Map { map: name.to_owned(), source };
        let mut entries = maps::LpmTrie::<_, [u8; 16], [u8; V]>::try_from(self.map_mut(name)?).map_err(failed)?;
        absent_is_well(entries.remove(&lpm_trie::Key::new(bits, address))).map_err(failed)
    }

    /// Takes all prefixes out of a longest-prefix map.
    pub(super) fn clear_prefixes<const V: usize>(&mut self, name: &str) -> Result<(), KernelError> {
        let failed = |source| KernelError::Map { map: name.to_owned(), source };
        let mut entries = maps::LpmTrie::<_, [u8; 16], [u8; V]>::try_from(self.map_mut(name)?).map_err(failed)?;
        let known: Vec<_> = entries.keys().filter_map(Result::ok).collect();
        known.iter().try_for_each(|key| absent_is_well(entries.remove(key))).map_err(failed)
    }

    /// Runs the program `repeat` times over a frame, without a network. Each run but the first gets what the one before
    /// left; so a program that writes its answer is timed right only where it passes or drops, or by a `repeat` of 1.
    ///
    /// # Errors
    ///
    /// The frame is shorter than an Ethernet header, or longer than a page has room for.
    pub fn test_run(&self, frame: &[u8], repeat: u32) -> Result<Run, KernelError> {
        let mut left = vec![0; FRAME_BYTES_MAX];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut left), repeat, ..TestRunOptions::default() };
        let program = self.ebpf.program(NAME).ok_or(ProgramError::NotLoaded).and_then(TryInto::try_into);
        let program: &Xdp = program.map_err(KernelError::TestRun)?;
        let result = program.test_run(options).map_err(KernelError::TestRun)?;
        left.truncate(usize::try_from(result.data_size_out).unwrap_or(usize::MAX));
        let nanoseconds = u64::try_from(Duration::as_nanos(&result.duration)).unwrap_or(u64::MAX);
        Ok(Run { action: result.return_value.into(), frame: left, nanoseconds })
    }

    /// The addresses that are looked at.
    pub(super) fn services(&self) -> Vec<SocketAddr> {
        let entries = self.maps.get("services").map(maps::HashMap::<_, [u8; 20], [u8; 1]>::try_from);
        let Some(Ok(entries)) = entries else { return Vec::new() };
        entries.keys().filter_map(Result::ok).map(address_of).collect()
    }

    fn map_mut(&mut self, name: &str) -> Result<&mut Map, KernelError> {
        self.maps.get_mut(name).ok_or_else(|| KernelError::NoSuchMap(name.to_owned()))
    }

    fn shared(&self, name: &str) -> Result<(&MapData, usize), KernelError> {
        let Some(Map::Array(array)) = self.maps.get(name) else { return Err(KernelError::NoSuchMap(name.to_owned())) };
        let info = array.info().map_err(|source| KernelError::Map { map: name.to_owned(), source })?;
        let element_bytes = (info.value_size() as usize).next_multiple_of(size_of::<u64>());
        Ok((array, element_bytes * info.max_entries() as usize))
    }
}

fn sets_for(answers: usize) -> usize {
    answers.div_ceil(layout::WAYS).max(1).next_power_of_two()
}

/// What the program and its maps are: those of another object or of another size are no use to this daemon.
fn version(sets: usize) -> u64 {
    fingerprint(OBJECT) ^ sets as u64
}

/// FNV-1a
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// `struct service` of maps.h.
fn service(address: SocketAddr) -> [u8; 20] {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let mut key = [0; 20];
    let (ip, port) = key.split_at_mut(octets.len());
    ip.copy_from_slice(&octets);
    port[..2].copy_from_slice(&address.port().to_be_bytes());
    key
}

fn address_of(key: [u8; 20]) -> SocketAddr {
    let [ip @ .., high, low, _, _] = key;
    SocketAddr::new(std::net::Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes([high, low]))
}

fn absent_is_well(result: Result<(), maps::MapError>) -> Result<(), maps::MapError> {
    match result {
        Err(maps::MapError::KeyNotFound | maps::MapError::ElementNotFound) => Ok(()),
        Err(maps::MapError::SyscallError(why)) if why.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_frame_to_nobody_is_passed_as_it_came() {
        let program = Program::load(0).unwrap();
        let frame = vec![7; 60];
        let Run { action, frame: left, .. } = program.test_run(&frame, 1).unwrap();
        assert_eq!((action, left), (Action::Pass, frame));
    }

    #[test]
    fn arrays_are_one_memory_wherever_they_are_mapped() {
        let program = Program::load(100).unwrap();
        let (words, bytes) = (program.array("tags").unwrap(), program.take_bytes("tags").unwrap());
        // 100 answers are 13 sets of 8, and the next power of two is 16.
        assert_eq!((words.len(), bytes.len()), (16 * 2, 16 * 16));
        assert_eq!(program.array("policy").unwrap()[layout::POLICY_SET_MASK].load(Ordering::Relaxed), 15);
        assert_eq!(program.array("slots").unwrap().len() * 8, 16 * layout::WAYS * layout::SLOT_BYTES);
        words[3].store(u64::from_ne_bytes(*b"parapet!"), Ordering::Relaxed);
        assert_eq!(&bytes[24..32], b"parapet!");
        assert!(matches!(program.array("no such"), Err(KernelError::NoSuchMap(_))));
        assert!(matches!(program.array("services"), Err(KernelError::NoSuchMap(_))));
    }

    #[test]
    fn addresses_come_and_go() {
        let mut program = Program::load(0).unwrap();
        for address in ["192.0.2.1:53", "[2001:db8::1]:53"].map(|address| address.parse().unwrap()) {
            program.serve_at(address).unwrap();
            program.serve_at(address).unwrap();
            assert_eq!(program.services(), [address]);
            program.leave(address).unwrap();
            program.leave(address).unwrap();
            assert_eq!(program.services(), []);
        }
    }

    #[test]
    fn a_service_is_its_address_and_port_as_they_stand_in_a_packet() {
        let key = service("192.0.2.1:53".parse().unwrap());
        assert_eq!(key, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0, 53, 0, 0]);
        assert_eq!(address_of(key), "192.0.2.1:53".parse().unwrap());
    }
}
