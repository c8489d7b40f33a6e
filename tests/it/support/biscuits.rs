//! Biscuit tokens, made by the program's own commands.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use super::program::command;

/// A pair of keys, as the environment takes them.
pub struct Keys {
    pub private: String,
    pub public: String,
}

impl Keys {
    pub fn generate(id: u32) -> Self {
        let printed = expeditor(&["token", "keygen", "--id", &id.to_string()], &[], "");
        let value = |name: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("{name} in {printed}")).to_owned()
        };
        Self { private: value("BISCUIT_PRIVATE_KEY"), public: value("BISCUIT_PUBLIC_KEY") }
    }

    /// `expeditor token mint`
    pub fn mint(&self, arguments: &[&str]) -> String {
        let arguments = [&["token", "mint"], arguments].concat();
        expeditor(&arguments, &[("BISCUIT_PRIVATE_KEY", &self.private)], "").trim().to_owned()
    }
}

/// `expeditor token attenuate`, without any key.
pub fn attenuate(token: &str, arguments: &[&str]) -> String {
    expeditor(&[&["token", "attenuate"], arguments].concat(), &[], token).trim().to_owned()
}

/// `expeditor token revoke` against an instance's database, in a process of its own.
pub fn revoke(database: &Path, token: &str, arguments: &[&str]) -> String {
    let url = format!("sqlite://{}", database.display());
    expeditor(&[&["token", "revoke"], arguments].concat(), &[("DATABASE_URL", &url)], token)
}

/// What the program prints that gets this on its standard input.
///
/// # Panics
/// Where it fails.
pub fn expeditor(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> String {
    let (success, printed, said) = try_expeditor(arguments, variables, input);
    assert!(success, "{arguments:?}: {said}");
    printed
}

/// Whether it succeeded, and what it wrote to both of its outputs.
pub fn try_expeditor(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), variables);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // One that reads nothing may be gone already.
    process.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}
