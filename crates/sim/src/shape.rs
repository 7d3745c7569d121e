//! What a run looks like before anything happens: the cluster, its links, its clocks. All drawn from the seed.

use precede_core::id::Address;
use precede_core::placement::view::View;

use crate::dice::Dice;
use crate::mix::Mix;
use crate::network::Quality;

/// The cluster of a run.
#[derive(Debug)]
pub struct Shape {
    /// The view that all nodes start with.
    pub view: View,
    /// All nodes; the members of the view first, spares behind them.
    pub addresses: Vec<Address>,
    /// How many of them are members.
    pub members: usize,
    /// Bytes of each node's window; none for the default.
    pub window_bytes_max: Option<usize>,
    /// Entries in a chunk of a sync; none for the default, which no table of a run exceeds.
    pub sync_chunk_entries: Option<usize>,
    /// Entries in a context, if they are kept to few.
    pub context_entries_max: Option<usize>,
    /// How wrong each node's wall clock is.
    pub skews_ms: Vec<i64>,
    /// By how much all wall clocks rise once the cluster has met: so old it is.
    pub aged_by_ms: i64,
    /// The range of wall clocks, to draw new ones from.
    pub skew_ms_max: i64,
}

impl Shape {
    /// Draws a cluster.
    ///
    /// # Panics
    /// If the drawn cluster makes no view, which is a mistake in here.
    #[must_use]
    pub fn draw(mix: Mix, members_max: Option<usize>, dice: &mut Dice) -> Self {
        let (least, factor_least) = match mix {
            Mix::Single | Mix::ViewSingle | Mix::Comebacks => (2, 2),
            Mix::ViewSplits => (4, 2),
            Mix::OneWayHeld | Mix::Held => (3, 2),
            Mix::ViewLags => (3, 3),
            Mix::Calm
            | Mix::Partitions
            | Mix::Pauses
            | Mix::Loss
            | Mix::Crash
            | Mix::Clocks
            | Mix::TinyWindow
            | Mix::TotalLoss
            | Mix::Views
            | Mix::ViewFaults
            | Mix::Everything => (1, 1),
        };
        let small = dice.between(2, 12).min(dice.between(2, 12));
        let members = if dice.chance(60) { 1 } else { small }.max(least);
        let members = members_max.map_or(members, |most| members.min(most.max(1) as u64));
        let factor = (*dice.pick(&[1, 2, 2, 2, 3, 3, 3, 4, 5])).max(factor_least).min(members);
        // Where a link between two replicas is cut for good, a third makes it interesting, and a second shard more so.
        let (members, factor) = match mix == Mix::Held && dice.chance(500) {
            true => (members.max(6).min(members_max.map_or(u64::MAX, |most| most.max(1) as u64)), factor.max(3)),
            false => (members, factor),
        };
        let factor = factor.min(members);
        let spares = match mix.changes_views() {
            true => dice.between(u64::from(mix == Mix::ViewLags), 5).min(12 - members.min(12)),
            false => u64::from(members < 12 && dice.chance(125)),
        };
        let address =
            |at: u64| Address::parse(&format!("10.0.0.{}:8080", at + 1), None).expect("it has a host and a port");
        let addresses: Vec<Address> = (0..members + spares).map(address).collect();
        let members = usize::try_from(members).expect("members are few");
        let factor = usize::try_from(factor).expect("factors are small");
        let view = View::bootstrap(&addresses[..members], factor).expect("the factor is within the members");
        let tiny = mix == Mix::TinyWindow || (mix == Mix::Everything && dice.chance(300));
        let window_bytes_max = tiny.then(|| usize::try_from(dice.between(200, 4000)).expect("a few bytes"));
        let sync_chunk_entries = dice.chance(500).then(|| 8 + dice.index(12));
        let skew_ms_max = match mix {
            Mix::Clocks => 3_600_000,
            Mix::Everything
            | Mix::Crash
            | Mix::Single
            | Mix::Comebacks
            | Mix::TotalLoss
            | Mix::ViewSingle
            | Mix::ViewFaults
            | Mix::ViewSplits => 20_000,
            Mix::Calm
            | Mix::Partitions
            | Mix::Pauses
            | Mix::Loss
            | Mix::TinyWindow
            | Mix::OneWayHeld
            | Mix::Held
            | Mix::Views
            | Mix::ViewLags => 50,
        };
        let skews_ms = addresses.iter().map(|_| if dice.chance(400) { dice.around(skew_ms_max) } else { 0 }).collect();
        let aged_by_ms = if dice.chance(500) { 150_000 } else { 0 };
        Self {
            view,
            addresses,
            members,
            window_bytes_max,
            sync_chunk_entries,
            context_entries_max: None,
            skews_ms,
            aged_by_ms,
            skew_ms_max,
        }
    }

    /// Draws the usual quality of a link.
    #[must_use]
    pub fn link(mix: Mix, dice: &mut Dice) -> Quality {
        let plain =
            |delay_min, delay_max| Quality { delay_min, delay_max, loss: 0, repeat: 0, late: 0, reorder: false };
        match mix {
            Mix::Calm => {
                let delay = dice.between(5_000, 60_000);
                plain(delay, delay + dice.below(40_000))
            }
            Mix::Loss => {
                let delay = dice.between(100, 10_000);
                let quality = plain(delay, delay + dice.below(20_000));
                let (loss, repeat, late) = (dice.below(100), dice.below(100), dice.below(10));
                Quality { loss, repeat, late, reorder: dice.chance(500), ..quality }
            }
            Mix::Crash | Mix::Comebacks | Mix::TotalLoss | Mix::ViewFaults | Mix::ViewSplits | Mix::Everything => {
                let delay = dice.between(100, 5_000);
                let (repeat, late) = (dice.below(10), dice.below(5));
                Quality { repeat, late, ..plain(delay, delay + dice.below(10_000)) }
            }
            Mix::Partitions
            | Mix::Pauses
            | Mix::Single
            | Mix::Clocks
            | Mix::TinyWindow
            | Mix::OneWayHeld
            | Mix::Held
            | Mix::Views
            | Mix::ViewSingle
            | Mix::ViewLags => {
                let delay = if dice.chance(150) { dice.between(5_000, 40_000) } else { dice.between(100, 3_000) };
                plain(delay, delay + dice.below(3_000))
            }
        }
    }
}
