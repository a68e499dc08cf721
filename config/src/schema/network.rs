//! `[network]`: what all machines share; and `[key.NAME]`.

use super::{KEY, Kind, Naming, Table, item, optional, single};
use crate::model::KeyAlgorithm;

/// `[network]`
pub static NETWORK: Table = single(
    "network",
    "What all machines share.",
    &[
        item("name", Kind::Text { bytes_max: 64 }, "\"parapet\"", "The network's name, for people."),
        item(
            "cookie_secrets",
            Kind::List { of: &Kind::CookieSecret, min: 0, max: 2 },
            "[]",
            "Secrets of the DNS cookies (RFC 9018), shared by all edges: the first makes new cookies, a second is still \
             accepted. To roll over, put the new one in front. Without any, each node makes up its own when it starts.",
        ),
        item(
            "cookie_secret_files",
            Kind::List { of: &Kind::Path, min: 0, max: 2 },
            "[]",
            "The same, each in a file of its own.",
        ),
        item(
            "cookies_required",
            Kind::Bool,
            "false",
            "Whether clients that speak cookies must show a valid one before they are answered over UDP (RFC 7873 §5.2.3).",
        ),
        optional(
            "node_key",
            Kind::Reference(KEY),
            "\"transfer\"",
            "The key that signs what nodes ask of each other. Nodes with `upstream` need it.",
        ),
    ],
);

/// `[key.NAME]`
pub static KEY_TABLE: Table = Table {
    name: KEY,
    naming: Naming::DomainName,
    example: "transfer",
    about: "A TSIG key (RFC 8945). Its secret stands in one of `key_file` (as `tsig-keygen` prints it, which also gives \
            the key's name and algorithm), `secret_file` (base64 alone) or `secret`. Files should be readable by \
            Parapet alone.",
    items: &[
        optional("key_file", Kind::Path, "\"/etc/parapet/transfer.key\"", "A file made by `tsig-keygen transfer`."),
        optional("algorithm", Kind::Choice(KeyAlgorithm::NAMES), "\"hmac-sha256\"", "Without it: hmac-sha256."),
        optional("secret_file", Kind::Path, "\"/etc/parapet/transfer.secret\"", "A file with the secret in base64."),
        optional("secret", Kind::Secret, "\"bm90IGEgc2VjcmV0IGF0IGFsbCwganVzdCBiYXNlNjQ=\"", "The secret in base64."),
    ],
    tables: &[],
};
