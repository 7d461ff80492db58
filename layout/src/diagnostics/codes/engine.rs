//! Keys of daemon.json, in `settings` and in files that others wrote.

use super::{Code, code};

pub(super) const CODES: &[Code] = &[
    code(
        "settings-key-owned",
        "a key that dmhost decides",
        "The value follows from the rest of the spec, and another one would break what keeps daemons apart.",
        "api = { port = 2376 }",
    ),
    code(
        "engine-key-unknown",
        "a key that the engine does not know",
        "dockerd does not start with a key it does not know; within a key it drops it silently. It tells upper from lower case. Which keys there are follows from the engine's version: 20.10 on debian-12, 26.1 on debian-13, 28.5 with `engine = \"docker-ce\"`.",
        "settings = { log-driver = \"local\" }",
    ),
    code(
        "engine-key-ignored",
        "a key that the engine reads and does not use",
        "Flags of dockerd whose name differs in daemon.json pass its check and do nothing.",
        "settings = { proxies = { http-proxy = \"http://proxy.example.org:3128\" } }",
    ),
    code(
        "engine-type",
        "a value of another type than the engine reads",
        "dockerd does not start with it. Options of log drivers and of networks are always strings, also those that are numbers.",
        "settings = { log-opts = { max-size = \"10m\" } }",
    ),
    code(
        "engine-value",
        "a value that the engine refuses",
        "`dockerd --validate` says \"configuration OK\" to most of these; the daemon, or every container, then does not start.",
        "settings = { metrics-addr = \"127.0.0.1:9323\" }",
    ),
    code(
        "metrics-socket",
        "metrics on a socket that is not the daemon's",
        "dockerd opens `metrics-addr` where it runs, and does not start where it cannot: on an address that it does not have, or where its API is. In the host's namespace it could open another's address, or every address at once, and two shared daemons cannot have one socket. A zone has a loopback address of its own.",
        "settings = { metrics-addr = \"127.0.0.1:9323\" }",
    ),
];
