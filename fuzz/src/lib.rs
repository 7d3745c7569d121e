//! What the fuzz targets share: a heap that counts, and tokens whose checksum is right.

pub mod heap;
pub mod sealed;
