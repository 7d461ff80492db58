//! What a host holds besides: packages and files.

use super::{Code, code};

pub(super) const CODES: &[Code] = &[
    code(
        "package-name",
        "no name of a package",
        "Names of Debian packages are lower-case letters, digits, `+`, `-` and `.`, at least two of them (Debian Policy 5.6.1). A version, a release or an architecture is no part of one: versions are in the lock.",
        "packages = [\"tcpdump\", \"vim-tiny\"]",
    ),
    code(
        "package-rival",
        "a package that fights dmhost",
        "The package sets up what dmhost decides from the spec: interfaces, rules, the resolver, the clock or the engine. With both, the one that runs last wins, and the proof says nothing of that.",
        "packages = [\"tcpdump\"]",
    ),
    code(
        "package-duplicate",
        "a package that is there twice",
        "Once is enough, and the second makes one think that taking one out takes the package out.",
        "packages = [\"tcpdump\"]",
    ),
    code(
        "file-path",
        "no path of a file",
        "A file's path is absolute and says where the file stands without a detour: no `.`, `..` or empty parts, no folder that the base has as a link. Blanks, quotes and `%` mean something in the files that name it.",
        "[[host.files]]\npath = \"/etc/motd\"\ncontent = \"Only for the network team.\\n\"",
    ),
    code(
        "file-owned",
        "a file that is not the user's",
        "dmhost or the base makes this file, or a program makes it anew. Yours would take its place, and the host would no longer be what the plan says.",
        "[[host.files]]\npath = \"/etc/motd\"\ncontent = \"Only for the network team.\\n\"",
    ),
    code(
        "file-duplicate",
        "a file that is there twice",
        "Two files have one path, or one stands where another needs a folder.",
        "[[host.files]]\npath = \"/etc/motd\"\ncontent = \"Only for the network team.\\n\"",
    ),
    code(
        "file-content",
        "no content of a text file",
        "A text file has no NUL. Files of bytes come with a package.",
        "[[host.files]]\npath = \"/etc/motd\"\ncontent = \"Only for the network team.\\n\"",
    ),
    code(
        "file-mode",
        "no permission bits, or too many",
        "Bits are octal digits in quotes. A file of the host that others may write to, or that runs as somebody else than who calls it, is a way to become root.",
        "[[host.files]]\npath = \"/etc/ops.key\"\ncontent = \"...\"\nmode = \"0600\"",
    ),
    code(
        "file-owner",
        "no owner of a file",
        "Owners are names that the host knows when it boots: `USER`, whose group is of the same name, or `USER:GROUP`. Numbers mean something else on each machine.",
        "[[host.files]]\npath = \"/etc/ops.conf\"\ncontent = \"...\"\nowner = \"ops:ops\"",
    ),
];
