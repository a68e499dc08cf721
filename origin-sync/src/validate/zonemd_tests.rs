//! The zones of RFC 8976 Appendix A, as they are and bent.

use super::super::testing::zone;
use super::*;

const SIMPLE_ZONE: &str = "
@ 86400 SOA ns1 admin 2018031900 1800 900 604800 86400
@ 86400 NS ns1
@ 86400 NS ns2
@ 86400 ZONEMD 2018031900 1 1 c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c
ns1 3600 A 203.0.113.63
ns2 3600 AAAA 2001:db8::63";

const COMPLEX_ZONE: &str = "
@ 86400 SOA ns1 admin 2018031900 1800 900 604800 86400
@ 86400 NS ns1
@ 86400 NS ns2
@ 86400 ZONEMD 2018031900 1 1 a3b69bad980a3504e1cffcb0fd6397f93848071c93151f552ae2f6b1711d4bd2d8b39808226d7b9db71e34b72077f8fe
ns1 3600 A 203.0.113.63
NS2 3600 AAAA 2001:db8::63
occluded.sub 7200 TXT \"I'm occluded but must be digested\"
sub 7200 NS ns1
duplicate 300 TXT \"I must be digested just once\"
duplicate 300 TXT \"I must be digested just once\"
foo.test. 555 TXT \"out-of-zone data must be excluded\"
UPPERCASE 3600 TXT \"canonicalize uppercase owner names\"
* 777 PTR dont-forget-about-wildcards
mail 3600 MX 20 MAIL1
mail 3600 MX 10 Mail2.Example.
sortme 3600 AAAA 2001:db8::5:61
sortme 3600 AAAA 2001:db8::3:62
sortme 3600 AAAA 2001:db8::4:63
sortme 3600 AAAA 2001:db8::1:65
sortme 3600 AAAA 2001:db8::2:64
non-apex 900 ZONEMD 2018031900 1 1 616c6c6f776564206275742069676e6f7265642e20616c6c6f776564206275742069676e6f7265642e20616c6c6f7765";

const SHA384_OF_MULTIPLE: &str =
    "62e6cf51b02e54b9b5f967d547ce43136792901f9f88e637493daaf401c92c279dd10f0edb1c56f8080211f8480ee306";
const SHA512_OF_MULTIPLE: &str = "08cfa1115c7b948c4163a901270395ea226a930cd2cbcf2fa9a5e6eb85f37c8a4e114d884e66f176eab121cb02db7d652e0cc4827e7a3204f166b47e5613fd27";

/// The zone of Appendix A.3 with these ZONEMD records: serial, scheme, algorithm, digest.
fn multiple(zonemds: &[(u32, u8, u8, &str)]) -> Zone {
    let mut text = "@ 86400 SOA ns1 admin 2018031900 1800 900 604800 86400\n@ 86400 NS ns1\n@ 86400 NS ns2\n\
                    ns1 3600 A 203.0.113.63\nns2 86400 TXT \"This example has multiple digests\"\nNS2 3600 AAAA 2001:db8::63\n"
        .to_owned();
    for (serial, scheme, algorithm, digest) in zonemds {
        text.push_str(&format!("@ 86400 ZONEMD {serial} {scheme} {algorithm} {digest}\n"));
    }
    zone("example", &text)
}

#[test]
fn the_examples_of_the_rfc_match() {
    for text in [SIMPLE_ZONE, COMPLEX_ZONE] {
        assert_eq!(check_zonemd(&zone("example", text), Zonemd::Require), Ok(ZonemdState::Verified));
    }
    let (sha384, sha512) = ((2018031900, 1, 1, SHA384_OF_MULTIPLE), (2018031900, 1, 2, SHA512_OF_MULTIPLE));
    let private = [(2018031900, 1, 240, "e2d523f654b9422a96c5a8f44607bbee"), (2018031900, 241, 1, "e1846540e33a9e41")];
    for zonemds in [
        &[sha384, sha512, private[0], private[1]][..],
        &[sha384],
        &[sha512],
        // One that matches is enough.
        &[(2018031900, 1, 1, SHA384_OF_MULTIPLE.replace('0', "1").as_str()), sha512],
        &[(2018031899, 1, 1, SHA384_OF_MULTIPLE), sha512],
    ] {
        assert_eq!(check_zonemd(&multiple(zonemds), Zonemd::Verify), Ok(ZonemdState::Verified));
    }
}

#[test]
fn whatever_is_bent_is_noticed() {
    for (from, to) in [
        ("203.0.113.63", "203.0.113.64"),
        ("3600 A 203", "3601 A 203"),
        ("1800 900", "1801 900"),
        ("NS ns2", "NS ns3"),
        ("* 777 PTR", "x 777 PTR"),
        ("occluded.sub 7200", "occluded.sub 7201"),
        ("just once\"\n", "just  once\"\n"),
        ("UPPERCASE", "UPPERCASF"),
        ("I'm", "i'm"),
    ] {
        let bent = COMPLEX_ZONE.replace(from, to);
        assert_ne!(bent, COMPLEX_ZONE);
        let fault = ZonemdFault::Mismatch { algorithm: 1 };
        assert_eq!(check_zonemd(&zone("example", &bent), Zonemd::Verify), Err(fault), "{from}");
        assert_eq!(check_zonemd(&zone("example", &bent), Zonemd::Off), Ok(ZonemdState::Absent));
    }
}

#[test]
fn the_policy_says_what_is_missed() {
    let check = |zonemds: &[(u32, u8, u8, &str)], verify, require| {
        let zone = multiple(zonemds);
        assert_eq!(check_zonemd(&zone, Zonemd::Verify), verify);
        assert_eq!(check_zonemd(&zone, Zonemd::Require), require);
    };
    check(&[], Ok(ZonemdState::Absent), Err(ZonemdFault::Missing));
    let unsupported = [(2018031900, 1, 240, "e2d523f654b9422a96c5a8f44607bbee"), (2018031900, 241, 1, "00")];
    check(&unsupported, Ok(ZonemdState::Unsupported), Err(ZonemdFault::NoneSupported));
    // A digest of the wrong length is none.
    check(
        &[(2018031900, 1, 1, &SHA384_OF_MULTIPLE[2..])],
        Ok(ZonemdState::Unsupported),
        Err(ZonemdFault::NoneSupported),
    );
    let other = ZonemdFault::OtherSerial { expected: 2018031900, found: 2018031901 };
    check(&[(2018031901, 1, 1, SHA384_OF_MULTIPLE)], Err(other.clone()), Err(other));
    let twice = ZonemdFault::Twice { algorithm: 1 };
    let bent = SHA384_OF_MULTIPLE.replace('0', "1");
    check(&[(2018031900, 1, 1, SHA384_OF_MULTIPLE), (2018031900, 1, 1, &bent)], Err(twice.clone()), Err(twice));
}
