//! What of a response is kept, for how long, and what is not.

use super::check;

#[test]
fn an_answer_is_kept_with_its_own_ttls() {
    check(
        "example.com",
        "www.example.com A aa
         = www.example.com 300 A 192.0.2.1
         = www.example.com 200 A 192.0.2.2
         = www.example.com 300 RRSIG A 3 example.com
         ! example.com 60 NS ns.example.com
         + ns.example.com 30 A 192.0.2.53",
        "NOERROR Found aa 200
         = www.example.com. 200 A 2
         = www.example.com. 200 RRSIG 1",
    );
}
