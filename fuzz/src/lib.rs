//! What the fuzz targets share: a heap that counts, tokens whose checksum is right, and files.

pub mod files;
pub mod heap;
pub mod sealed;
