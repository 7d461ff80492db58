//! How much memory is free: what the kernel says of the machine, and what the control groups leave of it.
//!
//! `MemAvailable`: <https://docs.kernel.org/filesystems/proc.html#meminfo>; groups: cgroups(7).

use camino::{Utf8Path, Utf8PathBuf};

/// How a group tells its limit: the files of one version of the interface.
struct Files {
    limit: &'static str,
    used: &'static str,
    /// In `memory.stat`: what of it the kernel takes back when it is asked.
    idle: &'static str,
}

const V1: Files = Files { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", idle: "total_inactive_file" };
const V2: Files = Files { limit: "memory.max", used: "memory.current", idle: "inactive_file" };

/// Bytes that this process can still take without another's loss; 0 where nobody can tell.
pub(crate) fn free() -> u64 {
    free_by("/proc".into(), "/sys/fs/cgroup".into()).unwrap_or(0)
}

fn free_by(proc: &Utf8Path, groups: &Utf8Path) -> Option<u64> {
    let machine = fs_err::read_to_string(proc.join("meminfo")).ok()?;
    let machine = number(&machine, "MemAvailable:")?.checked_mul(1024)?;
    let member = fs_err::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let left = member.lines().filter_map(|line| hierarchy(line, groups)).flat_map(|(files, root, path)| {
        let folders: Vec<_> = path.ancestors().map(|path| root.join(path)).collect();
        folders.into_iter().filter_map(move |folder| left(&folder, &files))
    });
    Some(left.fold(machine, u64::min))
}

/// Of a line of `/proc/self/cgroup`: its files, where its hierarchy is mounted, and the group in there.
fn hierarchy<'a>(line: &'a str, groups: &Utf8Path) -> Option<(Files, Utf8PathBuf, &'a Utf8Path)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
    match controllers {
        "" => Some((V2, groups.to_owned(), path.into())),
        _ => controllers.split(',').any(|name| name == "memory").then(|| (V1, groups.join("memory"), path.into())),
    }
}

/// What a group has left; `None`: it has no limit, or is not seen from here.
fn left(folder: &Utf8Path, files: &Files) -> Option<u64> {
    let read = |name: &str| fs_err::read_to_string(folder.join(name)).ok();
    let whole = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let idle = number(&read("memory.stat")?, files.idle).unwrap_or(0);
    Some(whole(files.limit)?.saturating_sub(whole(files.used)?.saturating_sub(idle)))
}

/// The number behind a word that begins a line.
fn number(text: &str, word: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| words.next().filter(|first| *first == word).and_then(|_| words.next()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn write(folder: &Utf8Path, files: &[(&str, String)]) {
        for (path, text) in files {
            let path = folder.join(path);
            fs_err::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
            fs_err::write(path, text).expect("a file");
        }
    }

    #[test]
    fn the_narrowest_limit_counts_less_what_the_kernel_takes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let (proc, groups) = (folder.join("proc"), folder.join("groups"));
        let free = || free_by(&proc, &groups);
        assert_eq!(free(), None);
        let meminfo = "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n";
        write(&proc, &[("meminfo", meminfo.to_owned())]);
        assert_eq!(free(), Some(4096 * MIB));

        let member = "4:cpu,memory:/a\n2:cpuset:/narrow\n0::/a/b\n";
        write(&proc, &[("self/cgroup", member.to_owned())]);
        let stat = |idle: u64| format!("inactive_anon 7\ninactive_file {idle}\ntotal_inactive_file {idle}\n");
        let v2 = |limit: &str, used: u64, idle: u64| {
            [("memory.max", format!("{limit}\n")), ("memory.current", used.to_string()), ("memory.stat", stat(idle))]
        };
        write(&groups.join("a/b"), &v2("max", 500 * MIB, 0));
        assert_eq!(free(), Some(4096 * MIB), "no limit is none");
        write(&groups.join("a"), &v2(&(1024 * MIB).to_string(), 900 * MIB, 300 * MIB));
        assert_eq!(free(), Some(424 * MIB), "a group's limit binds those below it");
        write(&groups.join("narrow"), &v2("1", 0, 0));
        assert_eq!(free(), Some(424 * MIB), "another's group is none of ours");
        let v1 =
            [("memory.limit_in_bytes", (100 * MIB).to_string()), ("memory.usage_in_bytes", (200 * MIB).to_string())];
        write(&groups.join("memory"), &v1);
        write(&groups.join("memory"), &[("memory.stat", stat(0))]);
        assert_eq!(free(), Some(0), "more is used than may be");
    }
}
