//! What can be wrong with a certificate: one judgement that `init` mends by and `check` refuses by.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use time::OffsetDateTime;

use crate::certificate::{Certificate, Purpose};

/// Why a certificate does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no such file.
    Missing,
    /// It ended at this time, or ends too soon after now.
    Expires(OffsetDateTime),
    /// It begins at this time, which is to come.
    Begins(OffsetDateTime),
    /// Its addresses and names are not the plan's.
    Names {
        /// In the plan, not in the certificate.
        lacks: Vec<String>,
        /// In the certificate, not in the plan.
        extra: Vec<String>,
    },
    /// It is not signed by the CA that stands in the folder now.
    Chain,
    /// The key beside it is not its own.
    Key,
    /// It is not for what it is used for: wrong key usage, or a CA where none should be.
    Purpose,
    /// The CA beside a client's certificate is not the one that signed its daemon's server certificate.
    Trust,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Expires(end) => write!(f, "expires on {}", end.date()),
            Self::Begins(start) => write!(f, "is valid from {start} on only: is the clock right?"),
            Self::Names { lacks, extra } => {
                let mut clauses = Vec::new();
                if !lacks.is_empty() {
                    clauses.push(format!("lacks {}", lacks.join(", ")));
                }
                if !extra.is_empty() {
                    clauses.push(format!("names {}, which the spec does not", extra.join(", ")));
                }
                f.write_str(&clauses.join(" and "))
            }
            Self::Chain => f.write_str("is not signed by the present CA"),
            Self::Key => f.write_str("does not belong to the key beside it"),
            Self::Purpose => f.write_str("is not made for this purpose"),
            Self::Trust => f.write_str("is not the present server CA"),
        }
    }
}

/// What a certificate must be.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    /// What it is used for.
    pub(crate) purpose: Purpose,
    /// The DNS names it carries, no more and no less.
    pub(crate) names: BTreeSet<String>,
    /// The addresses it carries, no more and no less.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Who signed it: itself for a CA.
    pub(crate) issuer: Option<&'a Certificate>,
}

/// The first fault of a certificate at `now`, if it must last for `margin` seconds more.
pub(crate) fn judge(certificate: &Certificate, expected: &Expected<'_>, now: i64, margin: i64) -> Option<Fault> {
    if certificate.purpose != Some(expected.purpose) {
        return Some(Fault::Purpose);
    }
    // A CA that the user brought may be signed by one above it, whom dockerd need not know.
    let above = expected.issuer.is_none() && certificate.issuer != certificate.subject;
    if !above && !certificate.issued_by(expected.issuer.unwrap_or(certificate)) {
        return Some(Fault::Chain);
    }
    if let Some(fault) = names(certificate, expected) {
        return Some(fault);
    }
    if certificate.not_after.unix_timestamp() <= now.saturating_add(margin) {
        return Some(Fault::Expires(certificate.not_after));
    }
    (certificate.not_before.unix_timestamp() > now).then_some(Fault::Begins(certificate.not_before))
}

fn names(certificate: &Certificate, expected: &Expected<'_>) -> Option<Fault> {
    let missing = |from: (&BTreeSet<IpAddr>, &BTreeSet<String>), of: (&BTreeSet<IpAddr>, &BTreeSet<String>)| {
        let addresses = of.0.difference(from.0).map(ToString::to_string);
        addresses.chain(of.1.difference(from.1).cloned()).collect::<Vec<_>>()
    };
    let has = (&certificate.addresses, &certificate.names);
    let wants = (&expected.addresses, &expected.names);
    let (lacks, extra) = (missing(has, wants), missing(wants, has));
    (!lacks.is_empty() || !extra.is_empty()).then_some(Fault::Names { lacks, extra })
}
