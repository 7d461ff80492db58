//! (being written)
/// The spec.
#[derive(Debug)]
pub struct HostSpec;
