//! Budgets: memory, CPUs, tasks and storage.

use super::{Code, code};

pub(super) const CODES: &[Code] = &[
    code(
        "size",
        "no size",
        "Sizes are a whole number and a unit, of 1024 (KiB, MiB, GiB, TiB) or of 1000 (kB, MB, GB, TB).",
        "resources = { memory-max = \"4GiB\" }",
    ),
    code(
        "memory-too-small",
        "too little memory to start",
        "dockerd and its containerd take 118 MiB without any container; the kernel would kill them at every start.",
        "resources = { memory-max = \"1GiB\" }",
    ),
    code(
        "memory-too-large",
        "more memory than any machine has",
        "Past 64 TiB a unit was probably mistaken.",
        "resources = { memory-max = \"64GiB\" }",
    ),
    code(
        "memory-high-over-max",
        "memory is killed for before it is reclaimed",
        "`memory-high` slows a daemon down before `memory-max` kills; above it, it is never reached.",
        "resources = { memory-max = \"4GiB\", memory-high = \"3GiB\" }",
    ),
    code(
        "resources-out-of-range",
        "a budget out of range",
        "The kernel, or systemd, does not take the number, or no daemon can live with it.",
        "resources = { cpu-weight = 200, tasks-max = 4096 }",
    ),
    code(
        "io-weight-needs-bfq",
        "the weight has no effect as things are",
        "Weights of I/O are kept by the scheduler bfq, and Debian chooses another for most disks.",
        "resources = { cpu-weight = 200 }",
    ),
    code(
        "quota-too-small",
        "a quota that holds no image",
        "Below 256 MiB not one usual image can be unpacked.",
        "storage = { quota = \"40GiB\" }",
    ),
    code(
        "quota-over-disk",
        "a quota over the whole disk",
        "It would never be reached: the disk is full first.",
        "[host]\ndisk = \"64GiB\"",
    ),
    code(
        "quota-without-kernel",
        "a quota on a base whose kernel has none that dmhost sets",
        "Quotas are simple quotas of btrfs, which came with Linux 6.7 and btrfs-progs 6.7. The older kind, qgroups with full accounting, slows every snapshot and deletion down with the number of extents, and is not set up here.",
        "[host]\nname = \"atlas\"\nbase = \"debian-13\"",
    ),
    code(
        "quotas-over-disk",
        "quotas that are over the disk together",
        "Each daemon keeps to its own, and yet one can take the room that another was promised.",
        "storage = { quota = \"20GiB\" }",
    ),
];
