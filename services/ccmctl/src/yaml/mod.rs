//! YAML (and so JSON) as people write it into files: read with the line of everything, written plainly.

mod read;
mod write;

pub use read::{Key, Kind, Node, Wrong, parse};
pub use write::write;
