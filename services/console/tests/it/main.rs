//! The console before the admin API, on a real Postgres; in a browser it is walked through by the demo's tests.

mod forms;
mod kept;
mod lists;
mod rig;
mod sign_in;
