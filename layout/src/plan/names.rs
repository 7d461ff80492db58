//! Names that decide other names: a daemon's paths and units, an interface's, a MAC address.
//!
//! They are checked when made, so what holds one may be put into a unit, a rule or a path as it is.

use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;

/// A daemon's name: `[a-z][a-z0-9_]{0,14}`. A `-` would nest one slice in another's budget.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DaemonName(String);

impl DaemonName {
    /// The longest name, in bytes.
    pub const MAX: usize = 15;

    /// The longest name of one whose bridge is in the host's namespace, in bytes: `br-NAME` names a link.
    pub const MAX_SHARED: usize = InterfaceName::MAX - "br-".len();

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its configuration: `/etc/dmhost/NAME`.
    pub fn etc(&self) -> Utf8PathBuf {
        format!("/etc/dmhost/{self}").into()
    }

    /// Its folder at run time: `/run/dmhost/NAME`.
    pub fn run(&self) -> Utf8PathBuf {
        format!("/run/dmhost/{self}").into()
    }

    /// Its unix socket.
    pub fn socket(&self) -> Utf8PathBuf {
        self.run().join("docker.sock")
    }

    /// Its `data-root`, a mount of its own subvolume.
    pub fn data_root(&self) -> Utf8PathBuf {
        format!("/srv/dmhost/{self}/docker").into()
    }

    /// Its subvolume.
    pub fn subvolume(&self) -> String {
        format!("@docker-{self}")
    }

    /// Its network namespace.
    pub fn netns(&self) -> String {
        format!("dmhost-{self}")
    }

    /// The group whose members may use its socket.
    pub fn group(&self) -> String {
        format!("docker-{self}")
    }

    /// The unit of dockerd.
    pub fn service(&self) -> String {
        format!("dmhost-{self}.service")
    }

    /// The unit of the namespace and its rules.
    pub fn zone_service(&self) -> String {
        format!("dmhost-{self}-zone.service")
    }

    /// The unit of the bridge, where the daemon has no namespace of its own.
    pub fn bridge_service(&self) -> String {
        format!("dmhost-{self}-bridge.service")
    }

    /// Its bridge in the host's namespace: a link's name if this one has at most [`DaemonName::MAX_SHARED`] bytes.
    pub fn bridge(&self) -> String {
        format!("br-{self}")
    }

    /// The unit of the interfaces, addresses and routes.
    pub fn link_service(&self) -> String {
        format!("dmhost-{self}-link.service")
    }

    /// The slice of the daemon and its containers.
    pub fn slice(&self) -> String {
        format!("dmhost-{self}.slice")
    }
}

/// Names of which `dmhost-NAME.service` is a unit of the host's own, or of what `dmhost verify` brings along.
const UNITS: &[&str] = &["agent", "grow", "hostkey", "quota", "refusals"];

/// Why a daemon name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadDaemonName {
    /// Empty, too long, or characters that a unit, a group or a link cannot have.
    Shape,
    /// A name that a unit of the host's own has.
    Reserved,
}

impl fmt::Display for BadDaemonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => {
                "a daemon's name is 1 to 15 characters: a lower-case letter, then lower-case letters, digits or `_`"
            }
            Self::Reserved => "`agent`, `grow`, `hostkey`, `quota` and `refusals` name units of dmhost's own",
        })
    }
}

impl std::error::Error for BadDaemonName {}

impl FromStr for DaemonName {
    type Err = BadDaemonName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let goes_on = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !starts || !goes_on || text.len() > Self::MAX {
            Err(BadDaemonName::Shape)
        } else if UNITS.contains(&text) {
            Err(BadDaemonName::Reserved)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for DaemonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An interface's name: up to 15 bytes (`IFNAMSIZ` less its NUL), letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The longest name, in bytes.
    pub const MAX: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why an interface name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadInterfaceName {
    /// Empty, or characters that the kernel, sysctl or nft would take for something else.
    Shape,
    /// More than 15 bytes.
    TooLong,
    /// A name that the kernel, sysctl or Docker uses for something else.
    Reserved,
}

impl fmt::Display for BadInterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "an interface's name starts with a letter and has letters, digits, `_` and `-` only",
            Self::TooLong => "an interface's name has at most 15 bytes",
            Self::Reserved => {
                "`lo`, `all`, `default`, `docker0`, `br-*` and `veth*` are taken by the kernel and by Docker"
            }
        })
    }
}

impl std::error::Error for BadInterfaceName {}

impl FromStr for InterfaceName {
    type Err = BadInterfaceName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) || !text.bytes().all(letters) {
            Err(BadInterfaceName::Shape)
        } else if text.len() > Self::MAX {
            Err(BadInterfaceName::TooLong)
        } else if matches!(text, "lo" | "all" | "default" | "docker0" | "docker_gwbridge")
            || text.starts_with("br-")
            || text.starts_with("veth")
        {
            Err(BadInterfaceName::Reserved)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A unicast Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The six bytes in wire order.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

/// Why a MAC address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMacAddress {
    /// Not six pairs of hexadecimal digits with `:` between.
    Shape,
    /// The group bit is set: no NIC has such an address.
    Multicast,
    /// All zero.
    Zero,
}

impl fmt::Display for BadMacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "a MAC address is six pairs of hexadecimal digits with `:` between them",
            Self::Multicast => "a multicast address belongs to no NIC",
            Self::Zero => "the all-zero address belongs to no NIC",
        })
    }
}

impl std::error::Error for BadMacAddress {}

impl FromStr for MacAddress {
    type Err = BadMacAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
            *octet = u8::from_str_radix(part.ok_or(BadMacAddress::Shape)?, 16).map_err(|_| BadMacAddress::Shape)?;
        }
        match (parts.next(), octets) {
            (Some(_), _) => Err(BadMacAddress::Shape),
            (None, [0, 0, 0, 0, 0, 0]) => Err(BadMacAddress::Zero),
            (None, [first, ..]) if first & 1 == 1 => Err(BadMacAddress::Multicast),
            (None, octets) => Ok(Self(octets)),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if at == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}
