//! `resources` and `storage`: budgets that a daemon can live with and that the disk has.

use super::{Report, host, size};
use crate::plan::{Base, DEFAULT_DISK, LEAST_MEMORY, LEAST_QUOTA, LEAST_TASKS, MOST_MEMORY, MOST_TASKS, Resources};
use crate::spec::words::quoted;
use crate::spec::{self, At, Daemon, Field, HostSpec};

/// A key of a daemon, or that of the defaults if the daemon does not have it.
fn over<'f, T, U>(own: &'f Field<T>, defaults: &'f Field<T>, key: impl Fn(&'f T) -> &'f Field<U>) -> &'f Field<U> {
    let own = own.given().map(|at| key(&at.value)).filter(|field| !field.is_absent());
    own.or_else(|| defaults.given().map(|at| key(&at.value))).unwrap_or(&Field::Absent)
}

/// Reads `resources`, the defaults' merged under the daemon's; `None` if part of it cannot be read.
pub(super) fn resources(
    own: &Field<spec::Resources>,
    defaults: &Field<spec::Resources>,
    report: &mut Report,
) -> Option<Resources> {
    let memory_max = memory(over(own, defaults, |of| &of.memory_max), report);
    let memory_high = memory(over(own, defaults, |of| &of.memory_high), report);
    if let (Ok(Some((max, at))), Ok(Some((high, first)))) = (&memory_max, &memory_high)
        && high > max
    {
        let message = format!("`memory-high` is over `memory-max`, {}: it has no effect", quoted(&at.value));
        let diagnostic =
            first.place.error("memory-high-over-max", message).help("write a smaller `memory-high`, or leave it out");
        report.push(diagnostic.related(at.place.value.clone(), "`memory-max`"));
    }
    let cpu_weight = whole(over(own, defaults, |of| &of.cpu_weight), "a weight", 1, 10_000, report);
    let io_weight = whole(over(own, defaults, |of| &of.io_weight), "a weight", 1, 10_000, report);
    if let (Ok(Some(_)), Some(at)) = (&io_weight, over(own, defaults, |of| &of.io_weight).given()) {
        let message = "`io-weight` has an effect with the scheduler `bfq` alone, which Debian does not choose";
        let help = "leave it out, or set the scheduler of the disk with a udev rule";
        report.push(at.place.error("io-weight-needs-bfq", message).as_warning().help(help));
    }
    let tasks_max = whole(
        over(own, defaults, |of| &of.tasks_max),
        "a number of tasks here",
        i64::try_from(LEAST_TASKS).unwrap_or(1),
        i64::try_from(MOST_TASKS).unwrap_or(i64::MAX),
        report,
    );
    let cpu_percent = cpus(over(own, defaults, |of| &of.cpus), report);
    Some(Resources {
        memory_max: memory_max.ok()?.map(|(bytes, _)| bytes),
        memory_high: memory_high.ok()?.map(|(bytes, _)| bytes),
        cpu_weight: cpu_weight.ok()?.and_then(|weight| u16::try_from(weight).ok()),
        cpu_percent: cpu_percent.ok()?,
        io_weight: io_weight.ok()?.and_then(|weight| u16::try_from(weight).ok()),
        tasks_max: tasks_max.ok()?.and_then(|tasks| u64::try_from(tasks).ok()),
    })
}

/// A value that is there; `None` if it is absent.
type Read<T> = Result<Option<T>, super::Reported>;

fn memory<'f>(field: &'f Field<String>, report: &mut Report) -> Read<(u64, &'f At<String>)> {
    let at = match field {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(super::Reported),
        Field::Given(at) => at,
    };
    let bytes = size::read(at, "size", "of memory", "4GiB", report).ok_or(super::Reported)?;
    if bytes < LEAST_MEMORY {
        let message = format!(
            "{} is too little: dockerd and its containerd take 118 MiB before any container",
            quoted(&at.value)
        );
        let help = format!("write at least `{}MiB`", LEAST_MEMORY >> 20);
        report.push(at.place.error("memory-too-small", message).help(help));
        return Err(super::Reported);
    }
    if bytes > MOST_MEMORY {
        let message = format!("no machine has {} of memory", quoted(&at.value));
        report.push(
            at.place.error("memory-too-large", message).help("write what the machine has at most, or leave it out"),
        );
        return Err(super::Reported);
    }
    Ok(Some((bytes, at)))
}

fn whole(field: &Field<i64>, what: &str, least: i64, most: i64, report: &mut Report) -> Read<i64> {
    let at = match field {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(super::Reported),
        Field::Given(at) => at,
    };
    if (least..=most).contains(&at.value) {
        return Ok(Some(at.value));
    }
    let message = format!("{} is not {what}: it goes from {least} to {most}", at.value);
    report
        .push(at.place.error("resources-out-of-range", message).help(format!("write a number from {least} to {most}")));
    Err(super::Reported)
}

/// CPUs as percent of one.
fn cpus(field: &Field<f64>, report: &mut Report) -> Read<u32> {
    let at = match field {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(super::Reported),
        Field::Given(at) => at,
    };
    if !(0.01..=8192.0).contains(&at.value) {
        let message = format!("{} is no number of CPUs: it goes from 0.01 to 8192", at.value);
        report.push(at.place.error("resources-out-of-range", message).help("write a number such as `1.5`"));
        return Err(super::Reported);
    }
    // In range, so it fits; a whole percent is systemd's unit.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above: 1 to 819200")]
    Ok(Some((at.value * 100.0).round() as u32))
}

/// Reads `storage.quota`; `Err` if it cannot be read.
pub(super) fn quota(daemon: &Daemon, spec: &HostSpec, disk: Option<u64>, report: &mut Report) -> Read<u64> {
    let at = match over(&daemon.storage, &spec.defaults.storage, |of| &of.quota) {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(super::Reported),
        Field::Given(at) => at,
    };
    if let Some(base) = host::base(spec).filter(|base| !base.has_simple_quotas()) {
        let message = format!("{} has no quotas that dmhost sets: its kernel is older than 6.7", base.as_str());
        let help = format!("leave it out, or write `base = \"{}\"` under `[host]`", Base::Debian13.as_str());
        let mut diagnostic = at.place.error("quota-without-kernel", message).help(help);
        if let Some(chosen) = spec.host.given().and_then(|host| host.value.base.given()) {
            diagnostic = diagnostic.related(chosen.place.value.clone(), "the base");
        }
        report.push(diagnostic);
    }
    let bytes = size::read(at, "size", "of storage", "40GiB", report).ok_or(super::Reported)?;
    if bytes < LEAST_QUOTA {
        let message = format!("a quota of {} holds no image", quoted(&at.value));
        report.push(
            at.place.error("quota-too-small", message).help(format!("write at least `{}MiB`", LEAST_QUOTA >> 20)),
        );
        return Err(super::Reported);
    }
    if let Some(disk) = disk.filter(|disk| bytes > *disk) {
        let message = format!("a quota of {} is over the disk, which has {}", quoted(&at.value), size::show(disk));
        report.push(at.place.error("quota-over-disk", message).help("write a smaller quota, or a larger `host.disk`"));
        return Err(super::Reported);
    }
    Ok(Some(bytes))
}

/// The disk as far as it can be read: to compare quotas with.
pub(super) fn disk(spec: &HostSpec) -> Option<u64> {
    match &spec.host.given()?.value.disk {
        Field::Absent => Some(DEFAULT_DISK),
        Field::Bad => None,
        Field::Given(at) => size::read(at, "disk-size", "of a disk", "16GiB", &mut Report::new()),
    }
}

/// Warns if all quotas together are more than the disk has.
pub(super) fn sum(spec: &HostSpec, quotas: &[Option<u64>], disk: Option<u64>, report: &mut Report) {
    let Some(disk) = disk else { return };
    let sum = quotas.iter().flatten().fold(0_u64, |sum, quota| sum.saturating_add(*quota));
    let all = quotas.iter().flatten().all(|quota| *quota <= disk);
    if sum <= disk || !all {
        return;
    }
    let given = || {
        let fields = spec.daemons.iter().map(|daemon| &daemon.storage).chain([&spec.defaults.storage]);
        fields.filter_map(|field| field.given()?.value.quota.given())
    };
    if let Some(last) = given().max_by_key(|at| at.place.value.start) {
        let message = format!("the quotas are {} together, and the disk has {}", size::show(sum), size::show(disk));
        let mut diagnostic = last.place.error("quotas-over-disk", message).as_warning();
        diagnostic = diagnostic
            .help("write smaller quotas, or a larger `host.disk`: as it is, one daemon can take another's room");
        for other in given().filter(|at| at.place != last.place).take(8) {
            diagnostic = diagnostic.related(other.place.value.clone(), "another quota");
        }
        report.push(diagnostic);
    }
}
