//! The packets of an attack in a file, for tcpreplay and others: the classic format of libpcap, version 2.4, with
//! nanoseconds.
//!
//! ```text
//!   file    magic 0xa1b23c4d | version 2, 4 | zone 0 | accuracy 0 | bytes of a frame, at most | 1: Ethernet
//!   packet  seconds | nanoseconds | bytes in the file | bytes on the wire | frame
//! ```

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::{Attack, Pace, Target, generator::Generator, sender::Schedule};
use crate::LabError;

/// Nanoseconds; all fields are little-endian.
const MAGIC: u32 = 0xa1b2_3c4d;
/// The type of link: Ethernet.
const ETHERNET: u32 = 1;
const FRAME_BYTES_MAX: u32 = 65_535;
/// Packets of a file, at most: some gigabytes.
const PACKETS_MAX: u64 = 20_000_000;

/// Write what `attack` would send, at the times at which it would, for as long as `pace` says; gives the number of packets.
/// Replayed on the same wire it is the same attack.
pub fn write_pcap(path: &Path, attack: Attack, target: &Target, pace: &Pace) -> Result<u64, LabError> {
    let mut generator = Generator::new(attack, target, pace.seed)?;
    let schedule = Schedule::new(attack, pace);
    let packets = pace.lasts.map_or(u64::MAX, |lasts| schedule.due(lasts));
    if packets > PACKETS_MAX {
        let why = format!("a file holds at most {PACKETS_MAX} packets; say for how long, or at a lower rate");
        return Err(LabError::Invalid(why));
    }
    let mut write = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for field in [MAGIC, 4 << 16 | 2, 0, 0, FRAME_BYTES_MAX, ETHERNET] {
            file.write_all(&field.to_le_bytes())?;
        }
        let mut frame = Vec::new();
        for number in 0..packets {
            generator.next(&mut frame);
            let at_ns = (schedule.due_at_s(number) * 1e9) as u64;
            let bytes = u32::try_from(frame.len()).unwrap_or(FRAME_BYTES_MAX);
            for field in [(at_ns / 1_000_000_000) as u32, (at_ns % 1_000_000_000) as u32, bytes, bytes] {
                file.write_all(&field.to_le_bytes())?;
            }
            file.write_all(&frame)?;
        }
        file.flush()
    };
    write().map_err(LabError::io(format!("writing {}", path.display())))?;
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::attack::tests::target;

    /// Times in nanoseconds and frames, as the format's description has them.
    fn read(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let field = |bytes: &mut &[u8]| {
            let (four, rest) = bytes.split_first_chunk::<4>().unwrap();
            *bytes = rest;
            u32::from_le_bytes(*four)
        };
        let header: [u32; 6] = std::array::from_fn(|_| field(&mut bytes));
        assert_eq!(header, [0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, 1]);
        let mut packets = Vec::new();
        while !bytes.is_empty() {
            let [s, ns, kept, sent]: [u32; 4] = std::array::from_fn(|_| field(&mut bytes));
            assert_eq!(kept, sent);
            let (frame, rest) = bytes.split_at(kept as usize);
            bytes = rest;
            packets.push((u64::from(s) * 1_000_000_000 + u64::from(ns), frame.to_vec()));
        }
        packets
    }

    #[test]
    fn a_file_has_the_packets_that_would_be_sent() {
        let target = target();
        let path = std::env::temp_dir().join(format!("parapet-attack-{}.pcap", std::process::id()));
        for attack in Attack::ALL.into_iter().filter(|attack| attack.has_packets()) {
            let pace = Pace { rate_per_s: 400, lasts: Some(Duration::from_secs(5)), seed: 9, core: None };
            let count = write_pcap(&path, attack, &target, &pace).unwrap();
            let packets = read(&std::fs::read(&path).unwrap());
            assert_eq!(packets.len() as u64, count);
            assert_eq!(count, if attack.is_wanted() { 1400 } else { 2000 });
            assert!(packets.is_sorted_by_key(|(at, _)| *at));
            assert!(packets.last().unwrap().0 < 5_000_000_000);
            let mut generator = Generator::new(attack, &target, 9).unwrap();
            let mut frame = Vec::new();
            for (_, written) in &packets {
                generator.next(&mut frame);
                assert_eq!(*written, frame, "{attack}");
            }
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_would_not_fit_is_refused() {
        let pace = Pace { rate_per_s: 1000, lasts: None, seed: 9, core: None };
        let path = Path::new("/nonexistent/file");
        let error = write_pcap(path, Attack::Client, &target(), &pace).unwrap_err();
        assert!(error.to_string().contains("at most"), "{error}");
        let pace = Pace { lasts: Some(Duration::from_secs(1)), ..pace };
        assert!(write_pcap(path, Attack::Tcp, &target(), &pace).is_err());
        assert!(write_pcap(path, Attack::Client, &target(), &pace).unwrap_err().to_string().contains("/nonexistent"));
    }
}
