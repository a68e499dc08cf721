//! What the keeper says to the daemon: one message each, lines of fields that tabs part.

use std::net::IpAddr;

use super::ADDRESSES_MAX;
use crate::AddressStatus;

/// Bytes of a message.
pub(super) const REPORT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of what went wrong.
const PROBLEM_BYTES_MAX: usize = 160;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// How all addresses are.
    Addresses(Vec<AddressStatus>),
    /// This one had been taken away, and was put back.
    PutBack(IpAddr),
    /// It cannot be done; the keeper ends.
    Failed(String),
}

impl Report {
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Addresses(addresses) => {
                let mut text = String::from("addresses\n");
                for status in addresses.iter().take(ADDRESSES_MAX) {
                    let problem = status.problem.as_deref().map(clean).unwrap_or_default();
                    let (present, ours) = (u8::from(status.present), u8::from(status.ours));
                    text += &format!("{}\t{present}\t{ours}\t{problem}\n", status.address);
                }
                text
            }
            Self::PutBack(address) => format!("back\n{address}\n"),
            Self::Failed(why) => format!("failed\n{}\n", clean(why)),
        }
    }

    /// None: it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (kind, rest) = text.split_once('\n')?;
        match kind {
            "addresses" => {
                let addresses = rest.lines().take(ADDRESSES_MAX).map(decode_address);
                Some(Self::Addresses(addresses.collect::<Option<_>>()?))
            }
            "back" => Some(Self::PutBack(rest.trim_end().parse().ok()?)),
            "failed" => Some(Self::Failed(rest.trim_end().to_owned())),
            _ => None,
        }
    }
}

fn decode_address(line: &str) -> Option<AddressStatus> {
    let mut fields = line.splitn(4, '\t');
    let address = fields.next()?.parse().ok()?;
    let mut flag = || fields.next().map(|field| field == "1");
    let (present, ours) = (flag()?, flag()?);
    let problem = fields.next().filter(|problem| !problem.is_empty()).map(str::to_owned);
    Some(AddressStatus { address, present, ours, problem })
}

/// One line of bounded length.
fn clean(text: &str) -> String {
    let fits = |(start, character): &(usize, char)| start + character.len_utf8() <= PROBLEM_BYTES_MAX;
    let characters = text.char_indices().take_while(fits).map(|(_, character)| character);
    characters.map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_there_and_back() {
        let status = |address: &str, problem: Option<&str>| AddressStatus {
            address: address.parse().expect("an address"),
            present: problem.is_none(),
            ours: true,
            problem: problem.map(str::to_owned),
        };
        let reports = [
            Report::Addresses(vec![status("192.0.2.53", None), status("2001:db8::53", Some("cannot: no"))]),
            Report::Addresses(Vec::new()),
            Report::PutBack("192.0.2.53".parse().expect("an address")),
            Report::Failed("because".into()),
        ];
        for report in reports {
            assert_eq!(Report::decode(report.encode().as_bytes()), Some(report));
        }
        for none in ["", "addresses", "addresses\n1.2.3\t1\t1\t\n", "addresses\n1.2.3.4\t1\n", "back\nx\n", "other\n"] {
            assert_eq!(Report::decode(none.as_bytes()), None, "{none:?}");
        }
        assert_eq!(Report::decode(&[0xff, 0xfe]), None);
    }

    #[test]
    fn a_full_report_has_room() {
        let status = AddressStatus {
            address: "2001:db8:1111:2222:3333:4444:5555:6666".parse().expect("an address"),
            present: false,
            ours: false,
            problem: Some("ä\n".repeat(1000)),
        };
        let report = Report::Addresses(vec![status; ADDRESSES_MAX]).encode();
        assert!(report.len() <= REPORT_BYTES_MAX, "{}", report.len());
        assert!(
            matches!(Report::decode(report.as_bytes()), Some(Report::Addresses(all)) if all.len() == ADDRESSES_MAX)
        );
    }
}
