//! Our parser against two others, `domain` and hickory: on well-formed messages all three read the same; on
//! broken ones ours accepts what `domain` accepts, and reads the same in it.

#[allow(dead_code)] // each test uses its part
mod support;

use domain::base::rdata::ComposeRecordData;
use domain::base::{Message as TheirMessage, ToName};
use domain::rdata::AllRecordData;
use hickory_proto::op::Message as HickoryMessage;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use support::Generator;
use wire::{Message, Record, WireError};

/// What a parser read of one record: owner, type, TTL, uncompressed RDATA.
type Read = (String, u16, u32, Vec<u8>);

fn ours(bytes: &[u8]) -> Result<Vec<Read>, WireError> {
    let message = Message::parse(bytes)?;
    let read = |record: Record<'_>| {
        let mut data = Vec::new();
        record.decompress_rdata(&mut data)?;
        Ok((hex(record.owner()?.to_ascii_lowercase().as_bytes()), record.rtype.0, record.ttl, data))
    };
    message.records().map(|record| record.and_then(read)).collect()
}

fn domains(bytes: &[u8]) -> Option<Vec<Read>> {
    let message = TheirMessage::from_octets(bytes).ok()?;
    let mut records = Vec::new();
    let (_, answer, authority, additional) = message.sections().ok()?;
    for record in answer.chain(authority).chain(additional) {
        let record = record.ok()?;
        let owner: domain::base::Name<Vec<u8>> = record.owner().to_name();
        let mut data = Vec::new();
        let parsed = record.to_any_record::<AllRecordData<_, _>>().ok()?;
        parsed.data().compose_rdata(&mut data).ok()?;
        let owner = hex(&owner.as_slice().to_ascii_lowercase());
        records.push((owner, record.rtype().to_int(), record.ttl().as_secs(), data));
    }
    Some(records)
}

fn hickorys(bytes: &[u8]) -> Option<Vec<Read>> {
    let message = HickoryMessage::from_vec(bytes).map_err(|e| eprintln!("hickory: {e}")).ok()?;
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let read = |record: &hickory_proto::rr::Record| {
        let encode = |what: &dyn Fn(&mut BinEncoder<'_>)| {
            let mut out = Vec::new();
            let mut encoder = BinEncoder::new(&mut out);
            encoder.set_name_encoding(NameEncoding::Uncompressed);
            what(&mut encoder);
            out
        };
        let owner = encode(&|e| record.name.emit(e).unwrap());
        let data = encode(&|e| record.data.emit(e).unwrap());
        (hex(&owner.to_ascii_lowercase()), record.record_type().into(), record.ttl, data)
    };
    Some(sections.into_iter().flatten().map(read).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn well_formed_messages_are_read_alike_by_all_three() {
    let mut generator = Generator::new(1);
    for round in 0..4_000 {
        let (bytes, written) = generator.message();
        let read = ours(&bytes).unwrap_or_else(|e| panic!("round {round}: {e}"));
        let domain = domains(&bytes).unwrap_or_else(|| panic!("round {round}: domain refuses {}", hex(&bytes)));
        assert_eq!(read, domain, "round {round}: {}", hex(&bytes));
        let zone_records: Vec<_> = read.iter().filter(|r| r.1 != 41).cloned().collect();
        let expected: Vec<Read> = written
            .into_iter()
            .map(|(_, owner, rtype, ttl, data)| (hex(owner.to_ascii_lowercase().as_bytes()), rtype.0, ttl, data))
            .collect();
        let fold = |records: &[Read]| -> Vec<Read> {
            // Compression folds the case of names, in RDATA too.
            records.iter().map(|r| (r.0.clone(), r.1, r.2, r.3.to_ascii_lowercase())).collect()
        };
        assert_eq!(fold(&zone_records), fold(&expected), "round {round}");
        let hickory = hickorys(&bytes).unwrap_or_else(|| panic!("round {round}: hickory refuses {}", hex(&bytes)));
        assert_eq!(zone_records, hickory, "round {round}: {}", hex(&bytes));
    }
}

/// Types whose fields we check (RFC 3597 §4 has us decompress them) and `domain` carries as they stand: MD, MF,
/// MB, MG, MR, MINFO, RP, AFSDB, RT, SIG, PX, NXT, KX, SPF, LP.
const OPAQUE_TO_DOMAIN: [u16; 15] = [3, 4, 7, 8, 9, 14, 17, 18, 21, 24, 26, 30, 36, 99, 107];

#[test]
fn broken_messages_are_read_like_domain_reads_them() {
    let mut generator = Generator::new(2);
    let (mut both, mut neither) = (0, 0);
    for round in 0..40_000 {
        let (mut bytes, _) = generator.message();
        generator.mutate(&mut bytes);
        match (ours(&bytes), domains(&bytes)) {
            (Ok(read), Some(domain)) => {
                both += 1;
                assert_eq!(read, domain, "round {round}: {}", hex(&bytes));
            }
            (Err(_), None) => neither += 1,
            (Ok(_), None) | (Err(WireError::Pointer), Some(_)) => {}
            (Err(_), Some(domain)) if domain.iter().any(|(_, rtype, ..)| OPAQUE_TO_DOMAIN.contains(rtype)) => {}
            (Err(error), Some(_)) => panic!("round {round}: we refuse ({error}) what domain reads: {}", hex(&bytes)),
        }
    }
    assert!(both > 5_000 && neither > 5_000, "the mutations must leave both kinds: {both} read, {neither} refused");
}
