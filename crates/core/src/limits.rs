//! Every bound of the protocol, in one place, with its reason. Relations between them are asserted at compile time.

use std::time::Duration;

/// Entries in a context (design 5.5). A healthy cluster issues a handful; the bound keeps one request from holding up
/// a replica.
pub const CONTEXT_ENTRIES_MAX: usize = 4096;

/// Bytes of a context token. 4,096 entries of at most 32 bytes, in base64.
pub const CONTEXT_TOKEN_BYTES_MAX: usize = 256 * 1024;

/// Contexts that one request may carry, to be merged.
pub const CONTEXTS_PER_REQUEST_MAX: usize = 64;

/// Requests that wait for their context at one node (reliability: bounded waiters). One more is refused with 503.
pub const WAITING_MAX: usize = 1024;

/// Requests that one node has forwarded and not yet answered. One more is refused with 503.
pub const FORWARDED_MAX: usize = 16 * 1024;

/// Writes at one node that wait for their write concern. One more is answered at once with what it has.
pub const UNACKED_WRITES_MAX: usize = 64 * 1024;

/// Write ids remembered to recognise a repeat (design 15.3).
pub const WRITE_IDS_MAX: usize = 100_000;

/// Names of writes that a replica remembers to recognise a repeat (design 7.6), oldest out first: one for each of 166 writes a second.
/// Bounds memory, and the chunk of a sync that brings all names of one key.
pub const NAMES_MAX: usize = 100_000;

/// Bytes of a name at most, as a sync tells it.
pub const NAME_WIRE_BYTES_MAX: usize = 128;

/// Bytes of a client's name for a write.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Hops of a forwarded request: router, replica, a replica that has what the context needs, and one to spare.
pub const HOPS_MAX: u8 = 4;

/// Bytes of stream frames in flight to one peer. Beyond it the peer is served from the window later, or syncs.
pub const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of writes in one stream frame; a larger single write makes a frame of its own.
pub const FRAME_BYTES_TARGET: usize = 256 * 1024;

/// Bytes of entries in one chunk of a sync, about, and never twice as many; a larger single entry makes a chunk of its own.
pub const SYNC_CHUNK_BYTES_TARGET: usize = 512 * 1024;

/// Entries in one chunk of a sync, and names but for those of one key: bounds the time that one step takes.
pub const SYNC_CHUNK_ENTRIES_MAX: usize = 4096;

/// Entries, and bytes, in one chunk of a hand-off: less than in other syncs, for clients go on meanwhile at both ends, and a
/// step holds them up for as long as it lasts (design 11.9).
pub const HAND_OFF_CHUNK_ENTRIES_MAX: usize = 256;
/// See [`HAND_OFF_CHUNK_ENTRIES_MAX`].
pub const HAND_OFF_CHUNK_BYTES_TARGET: usize = 128 * 1024;

/// Bytes of one message between nodes: the largest value, its key, a full context, and room.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of a value, default of `--max-value-bytes`.
pub const VALUE_BYTES_DEFAULT: usize = 8 * 1024 * 1024;

/// Bytes of a key, default of `--max-key-bytes`.
pub const KEY_BYTES_DEFAULT: usize = 1024;

/// Bytes of a key that any configuration may allow: the table stores a key's length in 16 bits.
pub const KEY_BYTES_MAX: usize = 60_000;

/// Bytes of a raw value's content type.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// Bytes of the name that a client gives a request (`X-Request-Id`).
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// Bytes of a trace's state: as many as every system must pass on (W3C Trace Context, 3.3.1.5).
pub const TRACE_STATE_BYTES_MAX: usize = 512;

/// Bytes of the window, default of `--max-window-bytes` (design 6.3).
pub const WINDOW_BYTES_DEFAULT: usize = 256 * 1024 * 1024;

/// Settled views that a view names. Views that are so many epochs older count as settled: bounds what a view carries.
pub const SETTLED_VIEWS_MAX: usize = 64;

/// Former views that a message names: more than one only where `force` or a cut network made them.
pub const FORMER_VIEWS_MAX: usize = 16;

/// Nodes that have left the view and are still told of it, the last ones: one that starts again with nothing but its first view
/// may know nobody else.
pub const DEPARTED_MAX: usize = 16;

/// Members of a view.
pub const MEMBERS_MAX: usize = 1024;

/// Nodes that one message, or a node, may name beside one another: the members of the current view, of all former ones, and of
/// one that is asked for.
pub const NODES_MAX: usize = MEMBERS_MAX * (FORMER_VIEWS_MAX + 2);

/// Views that one message may name beside records: more than a node keeps, of former ones and of settled ones.
pub const VIEWS_TOLD_MAX: usize = 1024;

/// Strangers of whom it is remembered that they were refused, so that each is told of once in a while and not with every message.
pub const STRANGERS_MAX: usize = 256;

/// The greatest epoch that a view may have, and the greatest shard id: far beyond what is reached one by one, and far from where
/// numbers end.
pub const EPOCH_MAX: u32 = u32::MAX / 2;
/// See [`EPOCH_MAX`].
pub const SHARD_ID_MAX: u32 = u32::MAX / 2;

/// Lives of one member that a vector keeps open before the member refuses writes: bounds contexts (design 15.7).
pub const OPEN_LIVES_MAX: usize = 8;

/// Longest `wait` a request may ask for.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

const _: () = assert!(FRAME_BYTES_TARGET + VALUE_BYTES_DEFAULT < MESSAGE_BYTES_MAX);
const _: () =
    assert!(2 * SYNC_CHUNK_BYTES_TARGET + VALUE_BYTES_DEFAULT + NAMES_MAX * NAME_WIRE_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_TARGET < IN_FLIGHT_BYTES_MAX);
const _: () = assert!(FORMER_VIEWS_MAX < VIEWS_TOLD_MAX && SETTLED_VIEWS_MAX < VIEWS_TOLD_MAX);
const _: () = assert!(KEY_BYTES_DEFAULT <= KEY_BYTES_MAX && KEY_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(CONTENT_TYPE_BYTES_MAX <= u8::MAX as usize);
