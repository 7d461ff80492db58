//! The certificates of a host: one server CA, one client CA per daemon, and what they signed. The one place of
//! dmhost with randomness and a clock, and the clock is the caller's.
//!
//! They live in a folder beside the spec, `<spec stem>.pki/`, mode 0700; keys are 0600, certificates 0644:
//!
//! ```text
//! .gitignore                                keeps all of it out of git
//! server-ca/ca.pem, ca-key.pem              signs every daemon's server certificate; its key stays here
//! NAME/client-ca/ca.pem, ca-key.pem         signs the clients of daemon NAME alone; its key stays here
//! NAME/server/cert.pem, key.pem             what the API of NAME shows: all its addresses and names
//! NAME/clients/admin/ca.pem, cert.pem, key.pem    a DOCKER_CERT_PATH folder as it is; ca.pem is the server CA's
//! ```
//!
//! A daemon's name has no `-`, so none can take the place of `server-ca`. There is a client CA per daemon since
//! dockerd's `tlsverify` asks for the chain and nothing else: with one CA for two daemons, each client reaches both.

mod certificate;
mod check;
mod client;
mod context;
mod credentials;
mod fault;
mod folder;
mod init;
mod issue;
mod key;
mod names;
mod open;
mod own;
mod survey;

pub use check::{CertificateFacts, CertificateInfo, Problem};
pub use client::{Contact, issue_client};
pub use fault::Fault;
pub use init::{Change, init, init_with};
pub use names::{CertificateKind, ClientName};
pub use open::{ClientBundle, Pki};
pub use own::{Brought, CaFiles};

/// The client that [`init`] makes a certificate for.
pub const DEFAULT_CLIENT: &str = "admin";
