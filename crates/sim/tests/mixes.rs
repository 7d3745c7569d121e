//! A few seeds of every mix: what the continuous check of every change can afford.

use precede_sim::mix::Mix;
use precede_sim::options::Options;
use precede_sim::runner::run_many;

fn clean(mix: Mix) {
    let totals = run_many(1, 3, 1, &Options::of(mix, 16), &|_, _| {});
    assert!(totals.failures.is_empty(), "{:#?}", totals.failures);
    assert!(totals.operations > 300, "{} operations test nothing", totals.operations);
}

macro_rules! mixes {
    ($($name:ident: $mix:ident,)*) => {
        $(
            #[test]
            fn $name() {
                clean(Mix::$mix);
            }
        )*
    };
}

mixes! {
    calm: Calm,
    partitions: Partitions,
    pauses: Pauses,
    loss: Loss,
    crash: Crash,
    single: Single,
    clocks: Clocks,
    tiny_window: TinyWindow,
    one_way_held: OneWayHeld,
    held: Held,
    comebacks: Comebacks,
    total_loss: TotalLoss,
    views: Views,
    view_single: ViewSingle,
    view_faults: ViewFaults,
    view_lags: ViewLags,
    view_splits: ViewSplits,
    everything: Everything,
}
