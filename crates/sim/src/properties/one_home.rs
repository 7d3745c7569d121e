//! Rule 8: after a view change is settled each key is on exactly the members of its shard.

use precede_core::id::NodeId;
use precede_core::node::TableReport;
use precede_core::placement::view::View;

use crate::oracle::Oracle;

/// Judges what a node at rest holds, under the view that everybody is in.
///
/// # Errors
/// Names a key that is not its to hold, or a legacy that is left.
pub fn node(oracle: &Oracle, view: &View, node: NodeId, tables: &[TableReport]) -> Result<(), String> {
    let shard = view.shard_of_member(node);
    for table in tables {
        if table.view.id != view.id || Some(table.shard) != shard {
            return Err(format!("it still holds shard {} of view {:?}", table.shard.0, table.view.id));
        }
        for (name, _, _) in &table.entries {
            let hash = oracle.key_number(name).map(|key| oracle.keys[key].hash);
            if hash.is_some_and(|hash| view.shard_of_hash(hash).id != table.shard) {
                return Err(format!("it holds {}, which is not its shard's", String::from_utf8_lossy(name)));
            }
        }
    }
    Ok(())
}
