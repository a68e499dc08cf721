//! Secrets: TSIG keys and cookie secrets, in the file itself or in files of their own.

use std::path::Path;

use super::Checker;
use crate::diagnostic::shorten;
use crate::model::{Key, KeyAlgorithm};
use crate::reader::{Section, join};
use crate::schema;
use crate::tsig_keygen::{decode_secret, parse_tsig_keygen};
use crate::value::{Found, Value, decode_hex};

/// Shorter TSIG secrets deserve a warning: RFC 8945 §8 wants them as long as the digest, this is half of the shortest.
const SECRET_BYTES_WEAK: usize = 16;

/// Cookie secrets that are in use at one time: the current one and the one before.
const COOKIE_SECRETS_MAX: usize = 2;

/// The ways to give a key's secret.
const SOURCES: [&str; 3] = ["key_file", "secret_file", "secret"];

pub(crate) fn read_key(checker: &mut Checker<'_, '_>, name: &str, section: &Section) -> Option<Key> {
    if SOURCES.iter().any(|source| section.is_unreadable(source)) {
        return None;
    }
    let given: Vec<&str> = SOURCES.into_iter().filter(|source| section.found(source).is_some()).collect();
    let algorithm = section.text("algorithm").and_then(KeyAlgorithm::from_name);
    let key = match given.as_slice() {
        ["key_file"] => read_key_file(checker, section, algorithm),
        ["secret_file"] => {
            let at = section.position("secret_file");
            let path = join(&section.path, "secret_file");
            let text = read_file(checker, section.text("secret_file")?, at, &path)?;
            decode_secret(&text)
                .map_err(|why| checker.sink.error(at, &path, "a file without a readable secret", why))
                .ok()
                .map(|secret| (None, algorithm.unwrap_or(KeyAlgorithm::HmacSha256), secret))
        }
        [_] => match section.found("secret") {
            Some(Found { value: Value::Secret(secret), .. }) => {
                Some((None, algorithm.unwrap_or(KeyAlgorithm::HmacSha256), secret.clone()))
            }
            _ => None,
        },
        [] => {
            if !checker.sink.incomplete {
                checker.sink.error(section.at, &section.path, "no secret", "one of key_file, secret_file, secret");
            }
            None
        }
        [_, second, ..] => {
            let found = format!("{} together", given.join(" and "));
            checker.sink.error(section.position(second), &section.path, found, "only one of them");
            None
        }
    };
    let (wire_name, algorithm, secret) = key?;
    if secret.len() < SECRET_BYTES_WEAK {
        let at = given.first().map_or(section.at, |source| section.position(source));
        let found = format!("a secret of {} bytes", secret.len());
        let expected = format!("at least {SECRET_BYTES_WEAK} bytes, as `tsig-keygen` makes them");
        checker.sink.warning(at, &section.path, found, expected);
    }
    Some(Key { name: wire_name.unwrap_or_else(|| name.to_owned()), algorithm, secret })
}

type Material = (Option<String>, KeyAlgorithm, Vec<u8>);

fn read_key_file(
    checker: &mut Checker<'_, '_>,
    section: &Section,
    algorithm: Option<KeyAlgorithm>,
) -> Option<Material> {
    let at = section.position("key_file");
    let path = join(&section.path, "key_file");
    let file = section.text("key_file")?;
    let text = read_file(checker, file, at, &path)?;
    let key = match parse_tsig_keygen(&text) {
        Ok(key) => key,
        Err(why) => {
            let found = format!("in {file:?}, line {}, {}", why.line, why.found);
            checker.sink.error(at, &path, found, why.expected);
            return None;
        }
    };
    if let Some(algorithm) = algorithm
        && algorithm != key.algorithm
    {
        let expected = format!("{}, as {file:?} has it, or no algorithm here", key.algorithm.name());
        let item = join(&section.path, "algorithm");
        checker.sink.error(section.position("algorithm"), &item, algorithm.name(), expected);
    }
    Some((Some(key.name), key.algorithm, key.secret))
}

pub(crate) fn read_cookie_secrets(checker: &mut Checker<'_, '_>, section: &Section) -> Vec<[u8; 16]> {
    let mut secrets = Vec::new();
    for found in section.list("cookie_secrets") {
        if let Value::CookieSecret(secret) = found.value {
            secrets.push(secret);
        }
    }
    for (index, found) in section.list("cookie_secret_files").iter().enumerate() {
        let Value::Text(file) = &found.value else {
            continue;
        };
        let at = found.at.unwrap_or(section.at);
        let path = format!("{}[{index}]", join(&section.path, "cookie_secret_files"));
        let Some(text) = read_file(checker, file, at, &path) else {
            continue;
        };
        match decode_hex(text.trim()) {
            Some(secret) => secrets.push(secret),
            None => {
                let expected = schema::Kind::CookieSecret.describe();
                checker.sink.error(at, &path, "a file without a readable secret", expected);
            }
        }
    }
    if secrets.len() > COOKIE_SECRETS_MAX {
        let at = section.position("cookie_secret_files");
        let found = format!("{} cookie secrets in all", secrets.len());
        checker.sink.error(at, &section.path, found, "at most two: the current one and the one before");
    }
    secrets
}

fn read_file(checker: &mut Checker<'_, '_>, file: &str, at: usize, item: &str) -> Option<String> {
    let path = checker.folder.join(file);
    match checker.files.read(Path::new(&path)) {
        Ok(secret) => {
            if secret.world_readable {
                let found = format!("{:?}, which everybody can read", shorten(file));
                let expected = format!("a file for its owner alone: chmod 600 {}", path.display());
                checker.sink.warning(at, item, found, expected);
            }
            Some(secret.text)
        }
        Err(why) => {
            checker.sink.error(at, item, format_args!("{:?}: {why}", shorten(file)), "a file that can be read");
            None
        }
    }
}
