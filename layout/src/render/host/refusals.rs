//! What the kernel's log has of refusals, told in the journal of the daemon that it is about, in the spec's own words: what to write,
//! and where.
//!
//! The rules can write to the kernel's log alone. journald files a line of root's own under the unit of the process that `OBJECT_PID=`
//! names (systemd.journal-fields(7)), which `journalctl -u dmhost-NAME` shows beside dockerd's lines.

use crate::layout::{Content, Entry, Layout};
use crate::plan::HostPlan;
use crate::render::unit::{UnitFile, put_wanted_unit};
use crate::render::{Program, Target};

const SCRIPT: &str = "/etc/dmhost/refusals.sh";
const UNIT: &str = "dmhost-refusals.service";

/// A line of the log is `dmhost: WHAT of daemons.NAME: IN=.. SRC=.. DST=.. PROTO=.. DPT=..` (net/netfilter/nf_log_syslog.c), behind it in
/// brackets the packet that an ICMP error is about. As JSON it stays one line, whatever bytes another line of the kernel's has.
const LINES: &str = r#"
tell() {
	pid=$($systemctl show --property=MainPID --value "dmhost-$1.service") || return 0
	[ "$pid" -gt 0 ] || return 0
	printf 'MESSAGE=%s\nPRIORITY=4\nSYSLOG_IDENTIFIER=dmhost\nOBJECT_PID=%s\n' "$2" "$pid" | $logger --journald || return 0
}
$journalctl --dmesg --follow --lines=0 --quiet --output=json --output-fields=MESSAGE | while read -r line; do
	line=${line#*'"MESSAGE":"'}
	line=${line%%\"*}
	case $line in
	'dmhost: '*' of daemons.'*) ;;
	*) continue ;;
	esac
	line=${line#dmhost: }
	what=${line%% of daemons.*}
	line=${line#*of daemons.}
	name=${line%%:*}
	SRC='' DST='' PROTO='' DPT=''
	for field in ${line#*: }; do
		case $field in
		SRC=*) SRC=${field#*=} ;;
		DST=*) DST=${field#*=} ;;
		PROTO=*) PROTO=$(printf %s "${field#*=}" | $tr A-Z a-z) ;;
		DPT=*) DPT=${field#*=} ;;
		'['*) break ;;
		esac
	done
	case $SRC in
	*:*) from=$SRC/128 ;;
	*) from=$SRC/32 ;;
	esac
	case $DST,$DPT in
	*:*,) to=$DST/128 ;;
	*:*,*) to=[$DST/128]:$DPT/$PROTO ;;
	*,) to=$DST/32 ;;
	*,*) to=$DST/32:$DPT/$PROTO ;;
	esac
	case $what in
	'published, not in expose')
		tell "$name" "$DPT/$PROTO is published and closed to $SRC; to open it, add \"$DPT/$PROTO\" to expose of [daemons.$name] in the host spec"
		;;
	'source not in expose')
		tell "$name" "$DPT/$PROTO is closed to $SRC; to open it, add $from to the sources of that port in expose of [daemons.$name] in the host spec"
		;;
	'not in egress')
		tell "$name" "$to was not let out; to open it, add \"$to\" to egress of [daemons.$name] in the host spec"
		;;
	esac
done
"#;

pub(in crate::render) fn render(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    if plan.daemons.values().all(|daemon| daemon.expose.is_none() && daemon.egress.is_none()) {
        return;
    }
    let mut text = format!(
        "#!{}\n# What the kernel's log has of refusals, told in the journal of the daemon that it is about.\nset -euf\n",
        target.path(Program::Sh)
    );
    for program in [Program::Journalctl, Program::Logger, Program::Systemctl, Program::Tr] {
        text.push_str(&format!("{}={}\n", program.name(), target.path(program)));
    }
    text.push_str(LINES.trim_start_matches('\n'));
    layout.insert(SCRIPT, Entry { mode: 0o755, content: Content::Text(text) });
    let unit = UnitFile::new(
        "daemons.*.expose and daemons.*.egress: who looks for a reason finds it in the daemon's own journal",
    )
    .section("Unit")
    .set("Description", "Refusals told in the journals of the Docker daemons")
    .set("StartLimitIntervalSec", "0")
    .section("Service")
    .set("ExecStart", SCRIPT)
    .set("Restart", "always")
    .set("RestartSec", "2");
    put_wanted_unit(layout, UNIT, "multi-user.target", unit);
}
