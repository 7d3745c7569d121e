//! The state of a cluster as a table, for people.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table};
use indicatif::{HumanBytes, HumanCount, HumanDuration};
use precede_client::{ClusterStatus, Health, MemberStatus, RequestCounts};

const COLUMNS: [&str; 9] = ["node", "shard", "health", "keys", "data", "memory", "lag", "requests/s", ""];
/// The columns of numbers.
const NUMBERS: std::ops::Range<usize> = 3..8;
/// A member that is so far behind is told of in yellow.
const LAG_NOTABLE_MS: u64 = 1000;

/// Requests for keys per second, by node.
pub(crate) struct Rates(BTreeMap<String, f64>);

impl Rates {
    /// Between two looks, of those that answered both and did not start again.
    pub(crate) fn between(before: &ClusterStatus, now: &ClusterStatus, time: Duration) -> Self {
        let counts = |status: &ClusterStatus| -> BTreeMap<String, u64> {
            let told = status.members.iter().filter_map(|member| Some((&member.node, member.status.as_ref()?)));
            told.map(|(node, status)| (node.clone(), requests(&status.requests))).collect()
        };
        let before = counts(before);
        let rate = |(node, count): (String, u64)| {
            let more = count.checked_sub(*before.get(&node)?)?;
            Some((node, more as f64 / time.as_secs_f64()))
        };
        Self(counts(now).into_iter().filter_map(rate).collect())
    }
}

fn requests(counts: &RequestCounts) -> u64 {
    counts.gets + counts.puts + counts.deletes
}

/// The view in a line or two, and the members in a table.
pub(crate) fn text(status: &ClusterStatus, rates: Option<&Rates>, in_colour: bool) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(COLUMNS);
    for column in NUMBERS {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for member in &status.members {
        table.add_row(row(member, rates, in_colour));
    }
    if in_colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    format!("{}\n\n{}", summary(status), table.trim_fmt())
}

fn summary(status: &ClusterStatus) -> String {
    let view = &status.view;
    let keys: u64 = status.shards.iter().filter_map(|shard| shard.keys).sum();
    let bytes: u64 = status.shards.iter().filter_map(|shard| shard.bytes).sum();
    let head = format!(
        "epoch {}: {} shards, {} replicas of each at least; {} keys, {}; as {} sees it",
        view.epoch,
        status.shards.len(),
        view.repl_factor,
        HumanCount(keys),
        HumanBytes(bytes),
        status.node
    );
    if view.settled {
        return head;
    }
    let waiting = status.shards.iter().filter(|shard| !shard.settled).map(|shard| shard.shard_id.to_string());
    format!(
        "{head}\nthe view changes: {} of {} hand-offs are complete, {} keys ({}) have arrived; waiting: shard {}",
        view.hand_offs_done,
        view.hand_offs_required,
        HumanCount(view.received_keys),
        HumanBytes(view.received_bytes),
        waiting.collect::<Vec<_>>().join(", ")
    )
}

fn row(member: &MemberStatus, rates: Option<&Rates>, in_colour: bool) -> Vec<Cell> {
    let colour = |cell: Cell, colour| if in_colour { cell.fg(colour) } else { cell };
    let number = |number: Option<String>| Cell::new(number.unwrap_or_else(|| "-".to_owned()));
    let status = member.status.as_ref();
    let health = match member.health {
        Health::Ready => colour(Cell::new("ready"), Color::Green),
        Health::NotReady => colour(Cell::new("not ready"), Color::Yellow),
        Health::Silent => colour(Cell::new("silent"), Color::Red),
    };
    let lag =
        number(member.lag_ms.map(|lag| if lag < 10_000 { format!("{lag} ms") } else { format!("{} s", lag / 1000) }));
    let is_behind = member.lag_ms.is_some_and(|lag| lag >= LAG_NOTABLE_MS);
    vec![
        Cell::new(&member.node),
        Cell::new(shard(member)),
        health,
        number(status.map(|status| HumanCount(status.keys).to_string())),
        number(status.map(|status| HumanBytes(status.bytes).to_string())),
        number(status.and_then(|status| status.memory_bytes).map(|bytes| HumanBytes(bytes).to_string())),
        if is_behind { colour(lag, Color::Yellow) } else { lag },
        number(rates.and_then(|rates| rates.0.get(&member.node)).map(|rate| format!("{rate:.0}"))),
        Cell::new(note(member)),
    ]
}

fn shard(member: &MemberStatus) -> String {
    match (member.shard_id, &member.status) {
        (Some(shard), _) => shard.to_string(),
        (None, Some(status)) if status.shard_id.is_none() => "spare".to_owned(),
        (None, _) => "has left".to_owned(),
    }
}

/// Why a member is as it is.
fn note(member: &MemberStatus) -> String {
    let mut notes: Vec<String> = member.status.iter().flat_map(|status| status.reasons.clone()).collect();
    notes.extend(member.error.clone());
    if member.health == Health::Silent
        && let Some(heard) = member.heard_ms
    {
        notes.push(format!("last heard {} ago", HumanDuration(Duration::from_millis(heard))));
    }
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use precede_client::NodeStatus;

    use super::*;

    fn status(gets: u64) -> ClusterStatus {
        let requests = RequestCounts { gets, ..RequestCounts::default() };
        let told = NodeStatus { keys: 1234, bytes: 2048, shard_id: Some(1), requests, ..NodeStatus::default() };
        let ready = MemberStatus {
            node: "a:1".to_owned(),
            shard_id: Some(1),
            health: Health::Ready,
            lag_ms: Some(60),
            status: Some(told),
            ..MemberStatus::default()
        };
        let error = Some("no answer came in time".to_owned());
        let heard_ms = Some(3000);
        let silent =
            MemberStatus { node: "b:1".to_owned(), shard_id: Some(1), error, heard_ms, ..MemberStatus::default() };
        ClusterStatus { node: "a:1".to_owned(), members: vec![ready, silent], ..ClusterStatus::default() }
    }

    #[test]
    fn every_member_has_a_line_that_says_how_it_is() {
        let rates = Rates::between(&status(100), &status(150), Duration::from_secs(2));
        let text = text(&status(150), Some(&rates), false);
        let words = |name: &str| -> Vec<&str> {
            text.lines().find(|line| line.trim().starts_with(name)).unwrap().split_whitespace().collect()
        };
        assert_eq!(words("a:1"), ["a:1", "1", "ready", "1,234", "2.00", "KiB", "-", "60", "ms", "25"]);
        assert_eq!(words("b:1")[..3], ["b:1", "1", "silent"]);
        assert!(text.contains("no answer came in time; last heard 3 seconds ago"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn colours_are_there_if_they_are_wanted() {
        assert!(text(&status(0), None, true).contains('\x1b'));
    }

    #[test]
    fn one_that_has_started_again_has_no_rate() {
        assert!(Rates::between(&status(100), &status(50), Duration::from_secs(1)).0.is_empty());
    }
}
