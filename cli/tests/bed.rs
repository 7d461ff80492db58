//! A folder with a host spec, and the executable run in it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A good spec: the example of the repository.
pub(crate) const GOOD: &str = include_str!("../../examples/two-vlans.toml");

/// A folder that goes with the test; `host.toml` in it is [`GOOD`].
pub(crate) struct Bed {
    folder: TempDir,
}

/// What a run of the executable came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self { folder: tempfile::tempdir().unwrap() };
        bed.write("host.toml", GOOD);
        bed
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs_err::write(&path, text).unwrap();
        path
    }

    /// The executable with these words, in the folder, its streams closed or in pipes, with a cache of its own.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmhost"));
        command.args(words.split_whitespace()).current_dir(self.path()).stdin(Stdio::null());
        command.env("DMHOST_CACHE_DIR", self.path().join("cache")).env_remove("NO_COLOR");
        command
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        ran(&mut self.command(words))
    }

    /// Runs it for its JSON.
    pub(crate) fn json(&self, words: &str) -> Value {
        let ran = self.run(&format!("{words} --output json"));
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("no JSON ({error}): {ran:?}"))
    }

    /// Makes the certificates of `host.toml`.
    pub(crate) fn with_pki(self) -> Self {
        assert_eq!(self.run("pki init host.toml").code, 0);
        self
    }

    /// Everything in the folder or a part of it: mode and bytes by path.
    pub(crate) fn tree(&self, below: &str) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut tree = BTreeMap::new();
        let mut folders = vec![self.path().join(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let bytes = match path.read_link() {
                    Ok(target) => target.into_os_string().into_encoded_bytes(),
                    Err(_) if metadata.is_file() => fs_err::read(&path).unwrap(),
                    Err(_) => Vec::new(),
                };
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                tree.insert(path, (metadata.permissions().mode() & 0o7777, bytes));
            }
        }
        tree
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("{}", output.status));
    Ran { code, out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    /// A refusal: nothing on standard output, and one error with these words in it.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.matches("error: ").count() == 1, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {self:?}");
        }
    }
}
