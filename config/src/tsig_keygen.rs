//! Keys in the form that BIND's `tsig-keygen` prints and `named.conf` includes.

use base64::Engine as _;

use crate::domain_name::normalise_domain_name;
use crate::model::{Key, KeyAlgorithm};

/// Longest key file.
pub(crate) const KEY_FILE_BYTES_MAX: usize = 64 * 1024;

/// What is wrong with a key file, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: found {found}; expected {expected}")]
pub struct TsigKeygenError {
    /// Line, from 1.
    pub line: usize,
    /// What stands there; never a piece of a secret.
    pub found: String,
    /// What should stand there.
    pub expected: String,
}

/// Reads one key such as `key "transfer" { algorithm hmac-sha256; secret "…"; };`, with comments in any of BIND's styles.
pub fn parse_tsig_keygen(text: &str) -> Result<Key, TsigKeygenError> {
    if text.len() > KEY_FILE_BYTES_MAX {
        return Err(error(1, "a file that is too long", "one key statement"));
    }
    let mut tokens = tokenise(text)?.into_iter();
    let last_line = text.lines().count().max(1);
    let mut next = |expected: &str| tokens.next().ok_or_else(|| error(last_line, "the end of the file", expected));

    expect(next("`key \"NAME\" { … };`")?, "key")?;
    let name_token = next("the key's name")?;
    let name = normalise_domain_name(&name_token.text)
        .map_err(|why| error(name_token.line, &format!("{:?}", name_token.text), &why.to_string()))?;
    expect(next("`{`")?, "{")?;
    let (mut algorithm, mut secret) = (None, None);
    let close_line = loop {
        let statement = next("`algorithm`, `secret` or `}`")?;
        match statement.text.as_str() {
            "}" if !statement.quoted => break statement.line,
            "algorithm" if algorithm.is_none() => {
                let token = next("the algorithm")?;
                algorithm = Some(KeyAlgorithm::from_name(&token.text).ok_or_else(|| {
                    error(
                        token.line,
                        &format!("{:?}", token.text),
                        &format!("one of {}", KeyAlgorithm::NAMES.join(", ")),
                    )
                })?);
            }
            "secret" if secret.is_none() => {
                let token = next("the secret")?;
                secret = Some(
                    decode_secret(&token.text).map_err(|why| error(token.line, "a secret that can't be read", why))?,
                );
            }
            other => {
                return Err(error(statement.line, &format!("{other:?}"), "`algorithm`, `secret` or `}`, each once"));
            }
        }
        expect(next("`;`")?, ";")?;
    };
    // The semicolon behind the brace is what named.conf wants; a file without it is clear enough.
    if let Some(rest) = tokens.find(|token| token.text != ";") {
        return Err(error(rest.line, &format!("{:?}", rest.text), "one key in a file, and nothing else"));
    }
    match (algorithm, secret) {
        (Some(algorithm), Some(secret)) => Ok(Key { name, algorithm, secret }),
        (None, _) => Err(error(close_line, "no algorithm", "`algorithm hmac-sha256;`")),
        (_, None) => Err(error(close_line, "no secret", "`secret \"…\";`")),
    }
}

/// Decodes a base64 secret; the error says what was expected.
pub(crate) fn decode_secret(text: &str) -> Result<Vec<u8>, &'static str> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match base64::engine::general_purpose::STANDARD.decode(compact) {
        Ok(secret) if secret.is_empty() => Err("a secret that is not empty"),
        Ok(secret) => Ok(secret),
        Err(_) => Err("the secret in base64, as `tsig-keygen` prints it"),
    }
}

struct Token {
    line: usize,
    text: String,
    quoted: bool,
}

fn error(line: usize, found: &str, expected: &str) -> TsigKeygenError {
    TsigKeygenError { line, found: found.to_owned(), expected: expected.to_owned() }
}

fn expect(token: Token, text: &str) -> Result<(), TsigKeygenError> {
    if token.text == text && !token.quoted {
        return Ok(());
    }
    // A quoted text may be the secret in the wrong place.
    let found = if token.quoted {
        "a quoted text".to_owned()
    } else {
        format!("{:?}", crate::diagnostic::shorten(&token.text))
    };
    Err(error(token.line, &found, &format!("`{text}`")))
}

fn tokenise(text: &str) -> Result<Vec<Token>, TsigKeygenError> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            c if c.is_whitespace() => {}
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.next_if_eq(&'/').is_some() => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.next_if_eq(&'*').is_some() => {
                let start = line;
                let mut before = ' ';
                loop {
                    let c = chars.next().ok_or_else(|| error(start, "a comment without an end", "`*/`"))?;
                    line += usize::from(c == '\n');
                    if before == '*' && c == '/' {
                        break;
                    }
                    before = c;
                }
            }
            '{' | '}' | ';' => tokens.push(Token { line, text: c.to_string(), quoted: false }),
            '"' => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        None | Some('\n') => {
                            return Err(error(line, "a text without an end", "`\"`"));
                        }
                        Some(c) => quoted.push(c),
                    }
                }
                tokens.push(Token { line, text: quoted, quoted: true });
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, '{' | '}' | ';' | '"' | '#')) {
                    word.push(c);
                }
                tokens.push(Token { line, text: word, quoted: false });
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_tsig_keygen_prints() {
        let key =
            parse_tsig_keygen("key \"Transfer\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n").unwrap();
        assert_eq!(
            key,
            Key { name: "transfer.".into(), algorithm: KeyAlgorithm::HmacSha256, secret: b"secret".to_vec() }
        );
        assert!(!format!("{key:?}").contains("secret"), "{key:?}");
    }

    #[test]
    fn reads_comments_and_bare_words() {
        let text =
            "# made by hand\nkey k.example { // here\n secret c2VjcmV0; /* and\nthere */ algorithm HMAC-SHA512; }";
        let key = parse_tsig_keygen(text).unwrap();
        assert_eq!((key.name.as_str(), key.algorithm), ("k.example.", KeyAlgorithm::HmacSha512));
    }

    #[test]
    fn errors_say_the_line_and_never_the_secret() {
        let check =
            |text: &str, want: &str| assert_eq!(parse_tsig_keygen(text).unwrap_err().to_string(), want, "{text}");
        check("", "line 1: found the end of the file; expected `key \"NAME\" { … };`");
        check(
            "key \"a\" {\n algorithm hmac-md5;\n",
            "line 2: found \"hmac-md5\"; expected one of hmac-sha256, hmac-sha384, hmac-sha512",
        );
        check(
            "key a {\n secret \"***\";\n};",
            "line 2: found a secret that can't be read; expected the secret in base64, as `tsig-keygen` prints it",
        );
        check("key a {\n algorithm hmac-sha256;\n};", "line 3: found no secret; expected `secret \"…\";`");
        check("key a {\n secret \"c2VjcmV0\";\n};", "line 3: found no algorithm; expected `algorithm hmac-sha256;`");
        check("key a {\n secret \"c2VjcmV0\n};", "line 2: found a text without an end; expected `\"`");
        check("key a {\n secret \"c2VjcmV0\" \"c2VjcmV0\";\n};", "line 2: found a quoted text; expected `;`");
        check(
            "key a { algorithm hmac-sha256; secret \"c2VjcmV0\"; };\nkey b {",
            "line 2: found \"key\"; expected one key in a file, and nothing else",
        );
        check("/* never", "line 1: found a comment without an end; expected `*/`");
    }
}
