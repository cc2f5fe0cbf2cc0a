//! The whole product, broken on purpose: real processes, real Postgres and Redis, simulators on the real wire. Every test ends
//! with the checker.

mod collector;
mod configuration;
mod crowd;
mod cuts;
mod deflection;
mod doctor;
mod drain;
mod flaky;
mod kills;
mod play;
mod pods;
mod recovery;
mod redaction;
mod screenpop;
mod shutdown;
mod soak;
mod tenants;
mod texts;
mod tracing;
mod upgrade;
mod webhooks;
