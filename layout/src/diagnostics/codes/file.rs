//! The file as a whole: its text, its version, its keys and their types.

use super::{Code, code};

pub(super) const CODES: &[Code] = &[
    code(
        "file-too-big",
        "the file is too big to be meant",
        "A host spec with 512 daemons has about a quarter of a megabyte; more than one is another file, given by mistake.",
        "dmhost check host.toml",
    ),
    code(
        "not-utf8",
        "the file is not UTF-8",
        "TOML is UTF-8 (toml.io, 1.0.0). Editors that save Latin-1 or UTF-16 have a setting for it.",
        "# save the file as UTF-8",
    ),
    code(
        "toml-syntax",
        "the file is no TOML",
        "The parser could not read on here. What it expected stands in the message, what was probably meant in the help.",
        "name = \"atlas\"",
    ),
    code(
        "more",
        "more problems follow",
        "A thousand problems are told; the rest often goes away with the first.",
        "# put the first ones right",
    ),
    code(
        "version-missing",
        "the spec does not say its version",
        "Every spec says for which version of the format it was written, so that a later dmhost reads it as it was meant.",
        "version = 1",
    ),
    code(
        "version-newer",
        "the spec is newer than this dmhost",
        "The spec was written for a format that this dmhost does not know. Nothing of it is guessed.",
        "version = 1",
    ),
    code("version-unknown", "there is no such version", "The format has versions from 1 on.", "version = 1"),
    code(
        "unknown-key",
        "a key that nothing reads",
        "A misspelt key would be without effect, so every key that is not known is an error.",
        "live-restore = true",
    ),
    code(
        "missing-key",
        "a key that must be there is not",
        "Without this key there is no default that would not be a guess.",
        "[host]\nname = \"atlas\"",
    ),
    code(
        "wrong-type",
        "a value of another type",
        "The key takes a value of one type: a string in quotes, a number or a boolean without, an array between brackets, a table between braces.",
        "addresses = [\"192.0.2.10/24\"]",
    ),
    code(
        "empty-string",
        "an empty string",
        "An empty value is most often a forgotten one. What is not wanted is left out.",
        "name = \"atlas\"",
    ),
    code(
        "number-out-of-range",
        "a number that does not fit",
        "The number is beyond what the key, TOML or JSON can hold.",
        "shutdown-timeout = 30",
    ),
    code(
        "unknown-value",
        "a word that is none of the possible ones",
        "The key takes one of a few words, and the help lists them.",
        "kernel = \"cloud\"",
    ),
    code(
        "no-effect",
        "something that changes nothing",
        "An empty section or list, or a key that another setting makes idle, would only look as if it did something.",
        "expose = []  # not empty by mistake: nothing is exposed",
    ),
    code(
        "not-yet",
        "something that this version does not do yet",
        "The key is part of the format, was read and judged, and is not carried out by this version. It is never ignored silently.",
        "nic = { mac = \"52:54:00:00:00:01\" }",
    ),
    code(
        "host-name",
        "no host name",
        "A host name is one DNS label (RFC 1123): up to 63 lower-case letters, digits and `-`, without a domain.",
        "name = \"atlas\"",
    ),
    code(
        "disk-size",
        "no size of a disk",
        "Sizes are a whole number and a unit, of 1024 (KiB, MiB, GiB, TiB) or of 1000 (kB, MB, GB, TB).",
        "disk = \"16GiB\"",
    ),
    code(
        "disk-too-small",
        "the disk does not hold a host",
        "The base, its logs and an image or two take at least two gibibytes.",
        "disk = \"16GiB\"",
    ),
    code(
        "user-name",
        "no name of an account",
        "Account names are those that useradd takes: up to 32 lower-case letters, digits, `_` and `-`, a letter first.",
        "user = \"ops\"",
    ),
    code(
        "user-name-reserved",
        "an account that the system has",
        "The base has this account for a service of its own.",
        "user = \"ops\"",
    ),
    code(
        "authorized-key",
        "no public key",
        "The line is not one that sshd would take: its type, its base64 or what the base64 holds is damaged. There are no passwords, so nobody could log in.",
        "authorized-keys = [\"ssh-ed25519 AAAA... ops\"]",
    ),
    code(
        "authorized-key-duplicate",
        "a key that is there twice",
        "The same key under two comments makes one think that taking one out shuts it out.",
        "authorized-keys = [\"ssh-ed25519 AAAA... ops\"]",
    ),
    code(
        "admin-interface-of-daemon",
        "the admin's interface is in a zone",
        "sshd runs in the host's own namespace, and this interface is in a daemon's.",
        "[host.admin]\ninterface = \"lan\"",
    ),
    code(
        "admin-interface-without-address",
        "the admin's interface has no address",
        "sshd answers on the addresses of this interface alone, and it has none.",
        "[interfaces.lan]\naddresses = [\"192.0.2.10/24\"]",
    ),
];
