//! Secrets that lie in files.

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use std::io;
use std::path::Path;

/// What is in `file`, without the end of its line. What we held of it meanwhile is overwritten.
pub(super) fn read(file: &Path) -> io::Result<SecretString> {
    let text = Zeroizing::new(std::fs::read_to_string(file)?);
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_end_of_the_line_is_no_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        for written in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            std::fs::write(&file, written).unwrap();
            assert_eq!(read(&file).unwrap().expose_secret(), "hunter2");
        }
        assert!(!format!("{:?}", read(&file).unwrap()).contains("hunter2"));
    }
}
