//! What is more than one request: a file per subject. All else follows from the API's document.

pub mod dead_letters;
pub mod generated;
pub mod opt_outs;
pub mod profile;
pub mod tenant;
