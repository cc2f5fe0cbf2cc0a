//! The link doctor: goes the way of a chat step by step and says what is wrong, where, and what to do about it.
//!
//! DNS, TCP, TLS, WebSocket upgrade, EWC ping, queue metrics, and on request a synthetic chat that cuts its own socket and
//! proves the resume. It dials through `ccm-ewc-client`, so what it sees is what a chat meets.
//!
//! * [`Plan`] says what to examine; [`Doctor::run`] does it and tells of each step while it goes.
//! * [`Report`] can be given away: no secret and nothing of a customer is in it.
//! * [`Cause`] is what can be wrong; its codes are stable, `docs/link-doctor.md` lists them.

mod cause;
mod chain;
mod chat;
mod dialling;
mod doctor;
mod explain;
mod log;
mod plan;
mod queue;
mod report;
mod settings;
mod socket;

pub use cause::{Cause, Place};
// What a plan is made of, and what certificates say: who uses the doctor need not know the driver.
pub use ccm_ewc_client::{ClientIdentity, Ending, Guard, PeerCertificate, Proxy, Scheme, Target};
pub use doctor::Doctor;
pub use plan::{Plan, SyntheticChat};
pub use report::{Endpoint, Fact, Finding, Outcome, Progress, Report, Step, StepKind};
