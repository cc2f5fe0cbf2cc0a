//! Broken behind the upgrade.

use std::time::Duration;

use ccm_aacc_sim::{BodyLimit, Edge, HttpAnswer, OverLimit, Settings, Skillset};
use ccm_doctor::{Cause, Outcome, Plan, StepKind};

use crate::rig::*;

#[tokio::test]
async fn pings_that_nobody_answers() {
    let sim = wss_with(Settings::default()).await;
    sim.set_faults(|faults| faults.ignore_pings = true);
    assert_eq!(
        cause(plan(target(&sim))).await,
        (StepKind::Ping, Cause::PingsUnanswered)
    );
}

#[tokio::test]
async fn a_limit_for_bodies() {
    for over in [OverLimit::Close, OverLimit::Reset] {
        let sim = ws_behind(Edge {
            body_limit: Some(BodyLimit { bytes: 8_000, over }),
            ..Edge::default()
        })
        .await;
        assert_eq!(
            cause(plan(target(&sim))).await,
            (StepKind::LargeFrame, Cause::BodyLimitTooSmall)
        );
    }
    let sim = ws_behind(Edge {
        queue: Some(HttpAnswer::status(413)),
        ..Edge::default()
    })
    .await;
    assert_eq!(
        cause(plan(target(&sim))).await,
        (StepKind::Queue, Cause::BodyLimitTooSmall)
    );
}

#[tokio::test]
async fn a_read_timeout_below_the_ping_interval() {
    let sim = wss_with(Settings {
        cut_idle_after: Some(Duration::from_millis(1500)),
        ..Settings::default()
    })
    .await;
    let watched = Plan {
        idle_watch: Some(Duration::from_secs(20)),
        ..plan(target(&sim))
    };
    let report = examine(watched).await;
    assert_eq!(report.causes(), [Cause::ReadTimeoutTooShort]);
    let idle = step(&report, StepKind::Idle);
    assert_eq!(idle.outcome, Outcome::Failed);
    assert!(
        (1_400..15_000).contains(&idle.duration_ms),
        "it was measured: {idle:?}"
    );
    let said = |report: &ccm_doctor::Report| {
        let advice = report.steps.iter().filter(|s| s.outcome == Outcome::Advice);
        advice
            .filter_map(|s| Some(s.finding.as_ref()?.cause))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said(&report),
        [Cause::ForceIdleCheck],
        "what was measured needs no advice"
    );
    let unmeasured = examine(plan(target(&sim))).await;
    assert_eq!(
        said(&unmeasured),
        [Cause::ForceIdleCheck, Cause::ReadTimeoutUnmeasured]
    );
}

#[tokio::test]
async fn maintenance_is_told_from_a_broken_proxy() {
    let sim = wss_with(Settings::default()).await;
    sim.set_faults(|faults| faults.maintenance = true);
    assert_eq!(
        cause(plan(target(&sim))).await,
        (StepKind::Queue, Cause::Maintenance)
    );
}

#[tokio::test]
async fn queue_metrics_that_do_not_come() {
    for (answer, expected) in [
        (HttpAnswer::status(404), Cause::QueueMetricsUnreachable),
        (HttpAnswer::status(403), Cause::QueueMetricsUnreachable),
        (HttpAnswer::status(502), Cause::QueueMetricsUnreachable),
        (HttpAnswer::status(200), Cause::QueueMetricsUnreadable),
    ] {
        let sim = ws_behind(Edge {
            queue: Some(answer),
            ..Edge::default()
        })
        .await;
        let report = examine(plan(target(&sim))).await;
        assert_eq!(report.outcome, Outcome::Warned, "chats work without");
        assert_eq!(report.causes(), [expected]);
    }
}

#[tokio::test]
async fn skillsets_that_nobody_serves() {
    let sim = wss_with(Settings {
        known_skillsets_only: true,
        skillsets: vec![Skillset {
            name: "WC_Sales".into(),
            available_agents: 0,
            ..Skillset::default()
        }],
        ..Settings::default()
    })
    .await;
    let mut mapped = plan(target(&sim));
    mapped.skillsets = vec![
        "WC_Default_Skillset".into(),
        "WC_Sales".into(),
        "WC_sales".into(),
        "Sales".into(),
    ];
    let report = examine(mapped).await;
    let queues: Vec<_> = report
        .steps
        .iter()
        .filter(|s| s.kind == StepKind::Queue)
        .collect();
    let causes: Vec<_> = queues
        .iter()
        .map(|s| s.finding.as_ref().map(|f| f.cause))
        .collect();
    assert_eq!(
        causes,
        [
            None,
            Some(Cause::NoAgents),
            Some(Cause::SkillsetUnknown),
            Some(Cause::SkillsetUnknown)
        ]
    );
    assert_eq!(queues[1].outcome, Outcome::Warned);
    assert_eq!(queues[2].title, "Queue metrics: WC_sales");
    assert!(
        queues[2]
            .finding
            .as_ref()
            .unwrap()
            .explanation
            .contains("It has WC_Sales")
    );
    assert!(
        queues[3].evidence.iter().any(|f| f.value == "WC_Sales"),
        "those that are there are listed"
    );
}
