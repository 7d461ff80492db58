//! (being written)
use crate::layout::Layout;
use crate::plan::HostPlan;
/// Renders.
pub fn render(_plan: &HostPlan) -> Layout { Layout::new() }
