//! The token that a request must show.

use std::path::Path;

use subtle::ConstantTimeEq as _;

use config::SecretFiles as _;

use crate::source::Disk;

/// A shorter token could be guessed.
const TOKEN_BYTES_MIN: usize = 32;
/// Longest token: it must fit a header.
const TOKEN_BYTES_MAX: usize = 1024;

/// A secret; never printed.
pub(crate) struct Token(String);

impl Token {
    /// The token of a file; warns if others can read it.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        read_token_file(file).map(Self)
    }

    /// Whether a request shows this token. Takes as long for a token that is nearly right as for one that is all wrong.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

/// The token of a file, without the blanks round it.
pub(crate) fn read_token_file(file: &Path) -> Result<String, String> {
    let secret = Disk.read(file).map_err(|why| format!("{}: {why}", file.display()))?;
    if secret.world_readable {
        tracing::warn!("everybody can read the token in {0}: chmod 600 {0}", file.display());
    }
    check(secret.text.trim()).map_err(|why| format!("{}: {why}", file.display()))
}

fn check(token: &str) -> Result<String, String> {
    let how = "make one with `openssl rand -hex 32`";
    if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len()) {
        let bytes = token.len();
        return Err(format!("a token of {bytes} characters; expected {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX}: {how}"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("a token with blanks or characters beyond ASCII: {how}"));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_fit_a_header() {
        assert!(check(&"a".repeat(32)).is_ok());
        assert!(check(&"a".repeat(31)).unwrap_err().contains("a token of 31 characters"));
        assert!(check(&"a".repeat(1025)).unwrap_err().contains("a token of 1025 characters"));
        assert!(check(&("a".repeat(40) + " b")).unwrap_err().contains("blanks"));
    }

    #[test]
    fn only_the_same_token_is_taken() {
        let token = Token("0123456789abcdef0123456789abcdef".to_owned());
        assert!(token.is(b"0123456789abcdef0123456789abcdef"));
        assert!(!token.is(b"0123456789abcdef0123456789abcdeg"));
        assert!(!token.is(b"0123456789abcdef0123456789abcdef0"));
        assert!(!token.is(b""));
    }
}
