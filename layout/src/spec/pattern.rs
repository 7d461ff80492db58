//! Regular expressions of values, for the schema: what an editor can see before `dmhost check` does.
//!
//! Each takes all that the plan takes, and refuses what is plainly of another kind; whether the rest means something is the
//! plan's to say. They keep to what every dialect of regular expressions has, and are anchored.

/// A name of an interface: 1 to 15 characters (`IFNAMSIZ` less its NUL).
pub(super) const INTERFACE: &str = "^[A-Za-z][A-Za-z0-9_-]{0,14}$";

/// Names of interfaces that the kernel, sysctl or Docker has for itself.
pub(super) const RESERVED_INTERFACE: &str = "^((lo|all|default|docker0|docker_gwbridge)$|br-|veth)";

/// A name of a daemon.
pub(super) const DAEMON: &str = "^[a-z][a-z0-9_]{0,14}$";

/// Names of which a unit of the host's own is made.
pub(super) const RESERVED_DAEMON: &str = "^(agent|grow|hostkey|quota|refusals)$";

/// A host name: one DNS label in lower case (RFC 1123).
pub(super) const HOST: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/// A DNS name (RFC 1123).
pub(super) const DNS_NAME: &str =
    "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

/// An account, as `useradd` takes it.
pub(super) const USER: &str = "^[a-z_][a-z0-9_-]{0,31}$";

/// A line of a `.pub` file: a type that sshd takes, base64, a comment.
pub(super) const AUTHORIZED_KEY: &str = concat!(
    "^ *(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh[.]com)",
    " +[A-Za-z0-9+/]+={0,2}( .*)?$"
);

/// A package's name (Debian Policy 5.6.1).
pub(super) const PACKAGE: &str = "^[a-z0-9][a-z0-9+.-]{1,127}$";

/// An absolute path of a file.
pub(super) const FILE: &str = "^(/[^/\\s\"'%]+)+$";

/// Permission bits without those that let others write.
pub(super) const MODE: &str = "^0?[0-7][0145][0145]$";

/// `USER` or `USER:GROUP`.
pub(super) const OWNER: &str = "^[a-z_][a-z0-9_-]{0,31}(:[a-z_][a-z0-9_-]{0,31})?$";

/// A size: a whole number and a unit.
pub(super) const SIZE: &str = "^[0-9]+ *([KMGT]iB|[kMGT]B)$";

/// A unicast MAC address: the second digit is even.
pub(super) const MAC: &str = "^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$";

/// The address that no NIC has.
pub(super) const NO_MAC: &str = "00:00:00:00:00:00";

/// udev's `ID_PATH`, without what systemd.link(5) takes for a pattern or a list.
pub(super) const ID_PATH: &str = "^[!&()+./0-9:<=>@A-Z^_`a-z|~-]+$";

/// A name that a NIC has before dmhost gives it one.
pub(super) const NIC_NAME: &str = "^[A-Za-z0-9_-]{1,15}$";

/// An IPv4 address, as Rust and inet_pton(3) read it: no zeros in front.
macro_rules! v4 {
    () => {
        "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}

/// What may be an IPv6 address.
macro_rules! v6 {
    () => {
        "[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
    };
}

/// A port, 1 to 65535.
macro_rules! port {
    () => {
        "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}

/// An IPv4 address and its prefix length.
macro_rules! net4 {
    () => {
        concat!(v4!(), "/(0?[0-9]|[12][0-9]|3[0-2])")
    };
}

/// What may be an IPv6 address, and its prefix length.
macro_rules! net6 {
    () => {
        concat!(v6!(), "/(0{0,2}[0-9]|0?[1-9][0-9]|1[01][0-9]|12[0-8])")
    };
}

/// A port or a range of ports with its protocol.
macro_rules! ports {
    () => {
        concat!(port!(), "(-", port!(), ")?/(tcp|udp)")
    };
}

/// An address with a prefix length, or a range.
pub(super) const CIDR: &str = concat!("^(", net4!(), "|", net6!(), ")$");

/// An address without a prefix length.
pub(super) const ADDRESS: &str = concat!("^(", v4!(), "|", v6!(), ")$");

/// A port or a range of ports with its protocol.
pub(super) const PORTS: &str = concat!("^", ports!(), "$");

/// The same, and who may reach it.
pub(super) const EXPOSED: &str =
    concat!("^", ports!(), "( from (", net4!(), "|", net6!(), ")(, ?(", net4!(), "|", net6!(), "))*)?$");

/// Anywhere, a range, or ports of a range.
pub(super) const DESTINATION: &str =
    concat!("^(any|", net4!(), "(:", ports!(), ")?|", net6!(), "|\\[", net6!(), "\\]:", ports!(), ")$");

/// Where a question of `[[expect]]` is asked from.
pub(super) const VANTAGE: &str = "^(host|(vlan|beyond|trunk|container):[A-Za-z][A-Za-z0-9_-]{0,14})$";

/// Whom it is asked.
pub(super) const TARGET: &str = "^(host|daemon:[a-z][a-z0-9_]{0,14})$";

/// A name of a Docker network.
pub(super) const NETWORK: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$";

/// A label of a Docker network.
pub(super) const LABEL: &str = "^[^=\\s]+=";
