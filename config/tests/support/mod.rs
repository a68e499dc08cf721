//! Secret files that only exist in a test.

use std::collections::HashMap;
use std::path::Path;

use config::{SecretFile, SecretFiles};

/// The text of each file by its path; a text that starts with `!` is readable by everybody.
#[derive(Default)]
pub(crate) struct Files(pub(crate) HashMap<&'static str, &'static str>);

impl SecretFiles for Files {
    fn read(&self, path: &Path) -> Result<SecretFile, String> {
        let text = self.0.get(path.to_str().unwrap()).ok_or_else(|| "no such file".to_owned())?;
        let world_readable = text.starts_with('!');
        Ok(SecretFile { text: text.trim_start_matches('!').to_owned(), world_readable })
    }
}

/// A key as `tsig-keygen transfer.example` prints it.
#[allow(dead_code, reason = "not every test has a key")]
pub(crate) const KEY_FILE: &str = "key \"transfer.example\" {\n\talgorithm hmac-sha512;\n\tsecret \"bm90IGEgc2VjcmV0IGF0IGFsbCwganVzdCBiYXNlNjQ=\";\n};\n";
