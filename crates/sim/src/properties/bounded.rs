//! Rule 10: nothing exceeds its limit.

use precede_core::limits::{CONTEXT_ENTRIES_MAX, FORWARDED_MAX, UNACKED_WRITES_MAX, WAITING_MAX};
use precede_core::node::NodeReport;

/// Bytes that one write of the workload may take in a window, its dependencies included.
const WRITE_BYTES_MAX: u64 = 64 * 1024;

/// Judges a node's queues and window.
///
/// # Errors
/// Says what is too much.
pub fn node(report: &NodeReport, window_bytes_max: usize) -> Result<(), String> {
    let queues = [
        ("waiting", report.waiting, WAITING_MAX),
        ("forwarded", report.forwarded, FORWARDED_MAX),
        ("unacked", report.unacked, UNACKED_WRITES_MAX),
    ];
    if let Some((what, length, most)) = queues.into_iter().find(|(_, length, most)| length > most) {
        return Err(format!("{length} {what}, the limit is {most}"));
    }
    let window = u64::try_from(window_bytes_max).unwrap_or(u64::MAX).saturating_add(WRITE_BYTES_MAX);
    if report.window_bytes > window {
        return Err(format!("{} bytes in the window, the limit is {window_bytes_max}", report.window_bytes));
    }
    Ok(())
}

/// Judges a node's clock: requests and peers must not have moved it beyond what the run's wall clocks explain.
///
/// # Errors
/// Says where it stands.
pub fn clock(report: &NodeReport, bound_ms: u64) -> Result<(), String> {
    if report.clock.millis() <= bound_ms {
        return Ok(());
    }
    Err(format!("the clock stands at {}, and nothing explains more than {bound_ms} ms", report.clock))
}

/// Judges the size of an issued context, where the request's had so many entries. `most`: where less than usual is allowed.
///
/// # Errors
/// Says how large it is.
pub fn context(entries: usize, asked: usize, most: Option<usize>) -> Result<(), String> {
    let most = most.map_or(CONTEXT_ENTRIES_MAX, |most| most.max(asked));
    if entries <= most {
        Ok(())
    } else {
        Err(format!("a context of {entries} entries was issued, the limit is {most}"))
    }
}
