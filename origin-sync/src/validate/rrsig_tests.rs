//! The examples of RFC 6605 §6 and RFC 8080 §6, as they are and bent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wire::{Name, Rtype};

use super::super::keys::{Keys, key_tag};
use super::*;

struct Example {
    apex: &'static str,
    owner: &'static str,
    rtype: Rtype,
    rdata: &'static [u8],
    algorithm: u8,
    key: &'static str,
    tag: u16,
    digest: (u8, &'static str),
    /// Expiration and inception.
    times: (u32, u32),
    signature: &'static str,
}

const P256: Example = Example {
    apex: "example.net",
    owner: "www.example.net",
    rtype: Rtype::A,
    rdata: &[192, 0, 2, 1],
    algorithm: 13,
    key: "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
    tag: 55648,
    digest: (2, "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"),
    times: (1_284_026_679, 1_281_607_479),
    signature: "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
};

const P384: Example = Example {
    algorithm: 14,
    key: "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
    tag: 10771,
    digest: (4, "72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6"),
    times: (1_284_027_625, 1_281_608_425),
    signature: "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
    ..P256
};

const ED25519: Example = Example {
    apex: "example.com",
    owner: "example.com",
    rtype: Rtype::MX,
    rdata: b"\0\x0a\x04mail\x07example\x03com\0",
    algorithm: 15,
    key: "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    tag: 3613,
    digest: (2, "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b"),
    times: (1_440_021_600, 1_438_207_200),
    signature: "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
};

impl Example {
    fn apex(&self) -> Name {
        self.apex.parse().unwrap()
    }

    fn dnskey(&self) -> Vec<u8> {
        [&[1, 1, 3, self.algorithm], &STANDARD.decode(self.key).unwrap()[..]].concat()
    }

    fn rrsig(&self) -> Vec<u8> {
        let labels = self.owner.parse::<Name>().unwrap().as_ref().label_count() as u8;
        let mut out = self.rtype.0.to_be_bytes().to_vec();
        out.extend([self.algorithm, labels]);
        for number in [3600, self.times.0, self.times.1] {
            out.extend(u32::to_be_bytes(number));
        }
        out.extend(self.tag.to_be_bytes());
        out.extend(self.apex().as_bytes());
        out.extend(STANDARD.decode(self.signature).unwrap());
        out
    }

    fn verify_with(
        &self,
        dnskey: &[u8],
        rrsigs: &[&[u8]],
        rdatas: &[&[u8]],
        now: u64,
    ) -> Result<Verified, DnssecFault> {
        let owner: Name = self.owner.to_uppercase().parse().unwrap();
        let rrset = Rrset { owner: owner.as_ref(), rtype: self.rtype, rdatas, rrsigs };
        verify_rrset(self.apex().as_ref(), &Keys::new([dnskey]), &rrset, now)
    }

    fn verify(&self, rrsig: &[u8], now: u64) -> Result<Verified, DnssecFault> {
        self.verify_with(&self.dnskey(), &[rrsig], &[self.rdata], now)
    }

    fn now(&self) -> u64 {
        u64::from(self.times.1) + 1000
    }
}

#[test]
fn the_examples_of_the_rfcs_hold() {
    for example in [P256, P384, ED25519] {
        let expires_unix_s = u64::from(example.times.0);
        let labels = example.rrsig()[3];
        let verified = Verified { expires_unix_s, original_ttl_s: 3600, labels };
        for now in [example.times.1, example.times.0, example.times.0 - 5] {
            assert_eq!(example.verify(&example.rrsig(), u64::from(now)), Ok(verified), "{}", example.algorithm);
        }
        assert_eq!(key_tag(&example.dnskey()), example.tag);
        let keys = Keys::new([&example.dnskey()[..]]);
        let digest = keys.iter().next().unwrap().ds_digest(example.apex().as_ref(), example.digest.0).unwrap();
        let hex: String = digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, example.digest.1);
    }
}

#[test]
fn any_octet_bent_is_noticed() {
    for example in [P256, P384, ED25519] {
        let (dnskey, rrsig) = (example.dnskey(), example.rrsig());
        for at in 0..rrsig.len() {
            let mut bent = rrsig.clone();
            bent[at] ^= 1;
            assert!(example.verify(&bent, example.now()).is_err(), "octet {at} of the signature");
        }
        for at in 4..dnskey.len() {
            let mut bent = dnskey.clone();
            bent[at] ^= 1;
            assert!(example.verify_with(&bent, &[&rrsig], &[example.rdata], example.now()).is_err());
        }
        let more: &[u8] =
            if example.rtype == Rtype::A { &[192, 0, 2, 2] } else { b"\0\x0b\x04mail\x07example\x03com\0" };
        let another = [example.rdata, more];
        assert!(example.verify_with(&dnskey, &[&rrsig], &another, example.now()).is_err());
        assert!(example.verify_with(&dnskey, &[&rrsig], &[], example.now()).is_err());
        for length in 0..rrsig.len() {
            assert!(example.verify(&rrsig[..length], example.now()).is_err());
        }
    }
}

#[test]
fn faults_are_named() {
    let (key_tag, algorithm) = (P256.tag, 13);
    let (from, until) = (u64::from(P256.times.1), u64::from(P256.times.0));
    let check = |rrsigs: &[&[u8]], now, fault| {
        assert_eq!(P256.verify_with(&P256.dnskey(), rrsigs, &[P256.rdata], now), Err(fault));
    };
    let good = P256.rrsig();
    let bent = |at: usize, octet: u8| {
        let mut bent = P256.rrsig();
        bent[at] = octet;
        bent
    };
    check(&[], from, DnssecFault::Unsigned);
    check(&[&good], until + 5, DnssecFault::Expired { key_tag, expired_unix_s: until, now_unix_s: until + 5 });
    check(&[&good], from - 5, DnssecFault::NotYetValid { key_tag, from_unix_s: from, now_unix_s: from - 5 });
    check(&[&bent(17, 0)], from, DnssecFault::NoSuchKey { key_tag: key_tag & 0xff00, algorithm });
    check(&[&bent(2, 7)], from, DnssecFault::UnsupportedAlgorithm { algorithm: 7 });
    check(&[&bent(2, 16)], from, DnssecFault::UnsupportedAlgorithm { algorithm: 16 });
    check(&[&bent(3, 4)], from, DnssecFault::Labels { expected: 3, found: 4 });
    check(&[&bent(20, b'f')], from, DnssecFault::OtherSigner);
    check(&[&bent(1, 28)], from, DnssecFault::Malformed);
    check(&[&bent(70, 0)], from, DnssecFault::BadSignature { key_tag, algorithm });
    // A wildcard was signed, says this one; it was not.
    check(&[&bent(3, 2)], from, DnssecFault::BadSignature { key_tag, algorithm });
    // Of several signatures the most telling fault, and one that holds is enough.
    check(&[&bent(1, 28), &bent(70, 0), &bent(2, 16)], from, DnssecFault::BadSignature { key_tag, algorithm });
    let mixed: [&[u8]; 3] = [&bent(70, 0), &good, &bent(2, 16)];
    assert!(P256.verify_with(&P256.dnskey(), &mixed, &[P256.rdata, P256.rdata], from).is_ok());
}

#[test]
fn keys_that_may_not_sign_are_none() {
    // Not a zone key, revoked, another protocol.
    for (at, octet) in [(0, 0), (1, 0x81), (2, 2)] {
        let mut dnskey = P256.dnskey();
        dnskey[at] = octet;
        assert!(Keys::new([&dnskey[..]]).is_empty());
    }
}

/// Work has a bound whatever the signatures: the good one comes too late.
#[test]
fn the_work_is_bounded() {
    let mut bent = P256.rrsig();
    bent[70] ^= 1;
    let good = P256.rrsig();
    let mut rrsigs = vec![&bent[..]; VERIFICATIONS_MAX];
    rrsigs.push(&good);
    assert!(P256.verify_with(&P256.dnskey(), &rrsigs, &[P256.rdata], P256.now()).is_err());
    assert!(P256.verify_with(&P256.dnskey(), &rrsigs[1..], &[P256.rdata], P256.now()).is_ok());
}

#[test]
fn times_wrap_around() {
    let signs_of_2106 = (1u64 << 32) + 10;
    assert_eq!(nearest(5, u64::from(u32::MAX)), (1 << 32) + 5);
    assert_eq!(nearest(u32::MAX, signs_of_2106), u64::from(u32::MAX));
    assert_eq!(nearest(7, 1000), 7);
}
