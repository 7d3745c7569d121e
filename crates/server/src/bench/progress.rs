//! A line on the terminal while the load runs. Without a terminal there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

const INTERVAL: Duration = Duration::from_millis(250);
const TEMPLATE: &str = "{bar:30} {pos}/{len} s  {msg}";

/// Takes the line off the terminal, however its task ends.
struct Line(ProgressBar);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows how the count of requests grows, until it is dropped.
pub(crate) async fn show(done: Arc<AtomicU64>, seconds: u64) {
    let line = Line(ProgressBar::new(seconds));
    if line.0.is_hidden() {
        return;
    }
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        line.0.set_style(style);
    }
    let start = Instant::now();
    let (mut last, mut before) = (start, 0);
    loop {
        sleep(INTERVAL).await;
        let (now, count) = (Instant::now(), done.load(Ordering::Relaxed));
        let rate = (count - before) as f64 / (now - last).as_secs_f64();
        line.0.set_position((now - start).as_secs().min(seconds));
        line.0.set_message(format!("{count} requests, {rate:.0}/s"));
        (last, before) = (now, count);
    }
}
