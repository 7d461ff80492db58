//! `dmhost init`: a spec to begin with, from this machine or from what its flags say. It asks nothing, and writes over
//! nothing.

mod machine;

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Context, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::draft::{Address, Draft, Fact, Key, LeftOut, Link, LinkKind, Machine, Wishes, draft};
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::reason;
use crate::args;
use crate::failure::Failure;
use crate::interrupt;
use crate::scratch::Scratch;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::Init, terminal: &Terminal) -> Result<(), Failure> {
    // Before the machine is asked: the answer would be of no use.
    if args.out != "-" {
        writable(&args.out, args.force)?;
    }
    let mut machine = if args.nic.is_empty() { machine::this()? } else { Machine::default() };
    machine.keys = keys(&args.authorized_key)?;
    let mut problems = Vec::new();
    let given = add(args, &mut machine, &mut problems);
    let drafted = draft(&machine, &wishes(args));
    // What a flag says is written, or refused; what this machine has may be left out.
    let refused = drafted.left_out.iter().filter(|one| of_flag(one, args, &given));
    problems.extend(refused.map(|one| one.what.clone()));
    if !problems.is_empty() {
        return Err(Failure::Usage(anyhow!("nothing was written:\n  {}", problems.join("\n  "))));
    }
    let text = drafted.text.clone();
    if args.out != "-" {
        interrupt::orderly(|| Ok(put(&args.out, &text, args.force)?))?;
    }
    tell(args, &drafted, terminal)?;
    // A spec without daemons is a spec, and not yet what anyone wants.
    if drafted.missing.is_empty() { Ok(()) } else { Err(Failure::No) }
}

fn tell(args: &args::Init, Draft { text, missing, left_out }: &Draft, terminal: &Terminal) -> Result<(), Failure> {
    let to_stream = args.out == "-";
    if terminal.json() {
        let left_out: Vec<&str> = left_out.iter().map(|one| one.what.as_str()).collect();
        let spec = to_stream.then_some(text);
        let json = serde_json::json!({ "out": args.out, "missing": missing, "left_out": left_out, "spec": spec });
        return terminal.print(format!("{json:#}"));
    }
    for one in left_out {
        terminal.say(format!("note: {}", one.what));
    }
    for one in missing {
        terminal.say(format!("to be filled in: {one}"));
    }
    terminal.print(if to_stream { text } else { args.out.as_str() })
}

/// Whether something was left out that a flag asked for: what this machine has of itself is no slip of the user's.
fn of_flag(left_out: &LeftOut, args: &args::Init, given: &BTreeSet<String>) -> bool {
    match &left_out.of {
        Fact::Wish => true,
        Fact::Link(link) => given.contains(link),
        Fact::Gateway(link, gateway) => given.contains(link) || args.gateway.contains(gateway),
        // Given ones stand in place of the machine's.
        Fact::Server => !args.dns.is_empty(),
        Fact::Key => !args.authorized_key.is_empty(),
    }
}

/// Adds what flags say of the machine; gives the names of the links that they speak of.
fn add(args: &args::Init, machine: &mut Machine, problems: &mut Vec<String>) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    if let Some(name) = &args.name {
        machine.name = Some(name.clone());
    }
    let nics = args.nic.iter().enumerate().map(|(at, nic)| {
        let name = nic.name.clone().unwrap_or_else(|| format!("nic{at}"));
        link(name, LinkKind::Nic { mac: nic.mac.to_string() }, &nic.addresses)
    });
    let nics: Vec<Link> = nics.collect();
    let vlans = args.vlan.iter().map(|vlan| {
        let name = vlan.name.clone().unwrap_or_else(|| format!("vlan{}", vlan.id));
        link(name, LinkKind::Vlan { parent: vlan.parent.clone(), id: vlan.id }, &vlan.addresses)
    });
    for link in nics.into_iter().chain(vlans) {
        if machine.links.iter().any(|other| other.name == link.name) {
            problems.push(format!("two interfaces are {}: give one of them another name, as NAME@", link.name));
        }
        if let LinkKind::Vlan { parent, .. } = &link.kind
            && !machine.links.iter().any(|nic| nic.name == *parent && matches!(nic.kind, LinkKind::Nic { .. }))
        {
            problems.push(format!("{}: there is no NIC {parent}", link.name));
        }
        if link.addresses.is_empty() && !args.vlan.iter().any(|vlan| vlan.parent == link.name) {
            problems.push(format!("{}: without an address or a VLAN on it, it is of no use", link.name));
        }
        given.insert(link.name.clone());
        machine.links.push(link);
    }
    for gateway in &args.gateway {
        let near = |link: &&mut Link| link.addresses.iter().any(|address| address.net.contains(gateway));
        match machine.links.iter_mut().find(near) {
            Some(link) => {
                link.gateways.retain(|other| other.is_ipv4() != gateway.is_ipv4());
                link.gateways.push(*gateway);
                link.accept_ra &= gateway.is_ipv4();
            }
            None => problems.push(format!("the gateway {gateway} is on no subnet of an interface")),
        }
    }
    if !args.dns.is_empty() {
        machine.dns.clone_from(&args.dns);
    }
    given
}

fn link(name: String, kind: LinkKind, nets: &[ipnet::IpNet]) -> Link {
    let addresses = nets.iter().map(|net| Address { net: *net, remark: None }).collect();
    Link { name, kind, addresses, gateways: Vec::new(), accept_ra: false, unusable: None }
}

fn wishes(args: &args::Init) -> Wishes {
    let mut daemons: Vec<(String, Vec<String>)> = Vec::new();
    for (name, links) in &args.daemon {
        match daemons.iter_mut().find(|(other, _)| other == name) {
            Some((_, all)) => all.extend(links.iter().cloned()),
            None => daemons.push((name.clone(), links.clone())),
        }
    }
    Wishes { admin: args.admin.clone(), daemons }
}

/// The keys that were given, as files or as such; else the user's own.
fn keys(given: &[String]) -> Result<Vec<Key>, Failure> {
    if given.is_empty() {
        let home = std::env::var("HOME").ok().filter(|home| !home.is_empty());
        return Ok(home.map(|home| machine::keys(&Utf8PathBuf::from(home).join(".ssh"))).unwrap_or_default());
    }
    let mut keys = Vec::new();
    for one in given {
        let (from, text) = if one.trim().contains(char::is_whitespace) && !Utf8Path::new(one).is_file() {
            ("--authorized-key", one.clone())
        } else {
            let text = fs_err::read_to_string(one)
                .map_err(|error| Failure::Usage(anyhow!("cannot read a key: {}", reason(&error))))?;
            (one.as_str(), text)
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        keys.extend(lines.map(|line| Key { from: from.to_owned(), line: line.to_owned(), chosen: true }));
    }
    Ok(keys)
}

/// Whether the file may be written.
fn writable(out: &Utf8Path, force: bool) -> Result<(), Failure> {
    match fs_err::symlink_metadata(out) {
        Ok(metadata) if metadata.is_dir() => Err(Failure::Usage(anyhow!("{out} is a folder; name a file"))),
        Ok(_) if !force => Err(Failure::Usage(there(out))),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn there(out: &Utf8Path) -> anyhow::Error {
    anyhow!("{out} is there already; say --force to overwrite it, or --out another file")
}

/// Writes a new file, whole or not at all; only by force over another.
fn put(out: &Utf8Path, text: &str, force: bool) -> anyhow::Result<()> {
    let out = camino::absolute_utf8(out).with_context(|| format!("cannot tell where {out} is"))?;
    let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else {
        anyhow::bail!("{out} names no file that could be made");
    };
    let aside = Scratch::take(&parent.join(format!(".{name}.dmhost-init")))?
        .with_context(|| format!("another `dmhost init` is writing {out}"))?;
    let new = aside.join("new");
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let flags = if force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    match renameat_with(CWD, new.as_str(), CWD, out.as_str(), flags) {
        Err(Errno::EXIST) => Err(there(&out)),
        // A file system that cannot tell: another file was looked for before.
        Err(Errno::INVAL | Errno::NOSYS) => fs_err::rename(&new, &out).context("cannot put the spec in place"),
        other => other.with_context(|| format!("cannot put {out} in place")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_given_gateway_stands_in_place_of_the_learnt_router_and_no_other() {
        let learns = |name: &str, nets: [&str; 2]| {
            let nets = nets.map(|net| net.parse().expect("a net"));
            Link { accept_ra: true, ..link(name.to_owned(), LinkKind::Nic { mac: String::new() }, &nets) }
        };
        let links = vec![
            learns("lan", ["192.0.2.2/24", "2001:db8::2/64"]),
            learns("web", ["198.51.100.2/24", "2001:db8:10::2/64"]),
        ];
        let mut machine = Machine { links, ..Machine::default() };
        let words = "dmhost init --gateway 192.0.2.1 --gateway 2001:db8:10::1";
        let args::Command::Init(args) = args::Cli::parse_from(words.split(' ')).command else {
            panic!("{words} is no init");
        };
        let mut problems = Vec::new();
        add(&args, &mut machine, &mut problems);
        let told: Vec<String> =
            machine.links.iter().map(|link| format!("{} {:?} {}", link.name, link.gateways, link.accept_ra)).collect();
        assert_eq!(told, ["lan [192.0.2.1] true", "web [2001:db8:10::1] false"]);
        assert!(problems.is_empty(), "{problems:?}");
    }
}
