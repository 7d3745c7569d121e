//! Rule 9: at rest windows are empty, tombstones are gone, and contexts need no entries.

use precede_core::causality::context::Context;
use precede_core::node::NodeReport;

/// Judges a node at rest.
///
/// # Errors
/// Says what is left.
pub fn node(report: &NodeReport) -> Result<(), String> {
    if report.window_writes == 0 && report.tombstones == 0 {
        return Ok(());
    }
    Err(format!(
        "{} writes in the window and {} tombstones at rest; covered {}, stable {}, horizon {}",
        report.window_writes, report.tombstones, report.covered, report.stable, report.horizon
    ))
}

/// Judges the context of an answer at rest.
///
/// # Errors
/// Shows it.
pub fn context(context: &Context) -> Result<(), String> {
    if context.entries.is_empty() { Ok(()) } else { Err(format!("at rest a context has entries: {context:?}")) }
}
