//! Messages of peers: what decodes is what its encoding decodes to, and nothing of it is beyond the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use precede_core::wire::codec;
use precede_fuzz::heap;

fuzz_target!(|data: &[u8]| {
    // An entry of a vector is 48 bytes in memory and may be 7 on the wire; the largest structures are a few hundred.
    let decoded = heap::within(1024 * data.len() + 4096, || codec::decode(data));
    if let Ok(envelope) = decoded {
        let encoded = codec::encode(&envelope);
        assert_eq!(codec::decode(&encoded).as_ref(), Ok(&envelope));
    }
});
