//! `ccm-doctor`'s report as the document shows it. A test holds the two together.

#![allow(dead_code, reason = "the document is made of it")]

use crate::schema::one_of;
use ccm_doctor::Cause;
use serde_json::Value;
use utoipa::{ToSchema, openapi::schema::Object};
use uuid::Uuid;

/// One line of an examination's answer: `began` and `step` while it goes on, `report` at its end. `stopped` ends one that the server
/// had to give up; it is to be asked for again.
#[derive(ToSchema)]
#[schema(example = json!({"event": "step", "step": {
    "endpoint": "primary", "kind": "dns", "title": "DNS", "outcome": "passed", "duration_ms": 3,
    "evidence": [{"name": "address", "value": "192.0.2.10"}]}}))]
pub struct DoctorEvent {
    #[schema(schema_with = events)]
    event: String,
    /// With `began`: `primary` or `secondary`.
    endpoint: Option<String>,
    /// With `began`.
    kind: Option<String>,
    /// With `began`: for people.
    title: Option<String>,
    /// With `step`.
    step: Option<Step>,
    /// With `report`: where it is kept, if it is a tenant's.
    report_id: Option<Uuid>,
    /// With `report`.
    report: Option<Report>,
}

/// What an examination found. No key, password, text or name of a person is in it.
#[derive(ToSchema)]
#[schema(as = DoctorReportContent)]
pub struct Report {
    /// Of this format.
    version: u32,
    #[schema(format = DateTime)]
    started_at: String,
    duration_ms: u64,
    #[schema(example = "wss://aacc.example.com:8445/CustomerControllerWeb/chat")]
    primary: String,
    #[schema(required)]
    secondary: Option<String>,
    /// The worst of all steps.
    #[schema(schema_with = report_outcome)]
    outcome: String,
    /// In the order in which they were taken.
    steps: Vec<Step>,
}

/// One step of an examination.
#[derive(ToSchema)]
#[schema(as = DoctorStep)]
pub struct Step {
    /// `primary` or `secondary`.
    endpoint: String,
    #[schema(example = "tls")]
    kind: String,
    /// For people.
    #[schema(example = "TLS")]
    title: String,
    #[schema(schema_with = step_outcome)]
    outcome: String,
    /// Why it was skipped.
    because: Option<String>,
    duration_ms: u64,
    /// What was seen.
    evidence: Vec<Fact>,
    /// There when it was warned, failed, or is advice.
    finding: Option<Finding>,
}

/// Something that was seen.
#[derive(ToSchema)]
#[schema(as = DoctorFact)]
pub struct Fact {
    #[schema(example = "protocol")]
    name: String,
    #[schema(example = "TLS 1.3")]
    value: String,
}

/// What is wrong, and what to do.
#[derive(ToSchema)]
#[schema(as = DoctorFinding)]
pub struct Finding {
    #[schema(schema_with = causes)]
    cause: String,
    /// Where something must be done, most likely.
    #[schema(example = "reverse_proxy")]
    place: String,
    /// What happened and what it means.
    explanation: String,
    remedy: String,
}

fn events() -> Object {
    one_of(
        "What the line is.",
        ["began", "step", "report", "stopped"].into_iter(),
    )
}

pub fn report_outcome() -> Object {
    one_of(
        "`failed`: chats cannot be carried as they should; `warned`: they can, and something should be looked at.",
        ["passed", "warned", "failed"].into_iter(),
    )
}

fn step_outcome() -> Object {
    one_of(
        "`skipped`: it could not be taken; `advice`: nothing was measured.",
        ["passed", "advice", "warned", "failed", "skipped"].into_iter(),
    )
}

fn causes() -> Object {
    one_of(
        "Stable; docs/link-doctor.md explains each.",
        Cause::ALL.iter().map(|cause| cause.code()),
    )
}

/// An outcome as it is written in a report.
pub fn outcome(report: &Value) -> &str {
    report["outcome"].as_str().unwrap_or_default()
}
