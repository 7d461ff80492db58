//! What a daemon and its containers may use of the machine: the keys of their slice, systemd.resource-control(5).

/// The budget of a daemon; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// `MemoryMax=`, in bytes: more kills.
    pub memory_max: Option<u64>,
    /// `MemoryHigh=`, in bytes: more is reclaimed, and slows down.
    pub memory_high: Option<u64>,
    /// `CPUWeight=`, 1 to 10000; 100 is everyone's.
    pub cpu_weight: Option<u16>,
    /// `CPUQuota=`, in percent of one CPU: 150 is one and a half.
    pub cpu_percent: Option<u32>,
    /// `IOWeight=`, 1 to 10000; 100 is everyone's.
    pub io_weight: Option<u16>,
    /// `TasksMax=`: processes and threads.
    pub tasks_max: Option<u64>,
}

/// The least `memory-max` and `memory-high`, in bytes: dockerd and its containerd take 118 MiB with no container.
pub const LEAST_MEMORY: u64 = 192 << 20;

/// The most of either that is no slip, in bytes: 64 TiB.
pub const MOST_MEMORY: u64 = 64 << 40;

/// The least `tasks-max`: dockerd and its containerd have some 30 threads, each container's shim a dozen.
pub const LEAST_TASKS: u64 = 128;

/// The most `tasks-max`: the kernel's own `PID_MAX_LIMIT`.
pub const MOST_TASKS: u64 = 4 << 20;

/// The least `storage.quota`, in bytes: below it no image can be unpacked.
pub const LEAST_QUOTA: u64 = 256 << 20;
