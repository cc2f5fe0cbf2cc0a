//! Queue metrics of each skillset that our numbers are mapped to.

use ccm_ewc_client::{DialError, QueueError, QueueMetrics, currentqueue};

use crate::cause::{Cause, Place};
use crate::explain::{Patient, sentence};
use crate::log::{Seen, fact};
use crate::report::{Fact, Finding};

/// All that AACC has, where no skillset is mapped yet.
pub(crate) async fn all(patient: &Patient<'_>) -> Seen {
    match currentqueue(patient.dialer, "").await {
        Ok(queues) => Seen::passed().facts(queues.iter().map(metrics)),
        Err(error) => failed(patient, &error).await,
    }
}

pub(crate) async fn one(patient: &Patient<'_>, skillset: &str) -> Seen {
    let queues = match currentqueue(patient.dialer, skillset).await {
        Ok(queues) => queues,
        Err(error) => return failed(patient, &error).await,
    };
    match queues.iter().find(|queue| queue.queue_name == skillset) {
        Some(queue) => Seen::passed_unless(closed(queue)).facts([metrics(queue)]),
        None => unknown(patient, skillset).await,
    }
}

fn metrics(queue: &QueueMetrics) -> Fact {
    fact(
        &queue.queue_name,
        format!(
            "{} agents available, {} customers waiting, {} chats at most",
            queue.available_agents, queue.customers_in_queue, queue.max_concurrent_chats
        ),
    )
}

/// Why this queue takes nobody now.
fn closed(queue: &QueueMetrics) -> Option<Finding> {
    if queue.is_open() {
        return None;
    }
    let name = &queue.queue_name;
    Some(match queue.available_agents {
        0 => Finding::new(Cause::NoAgents, format!("No agent is available for {name} now.")),
        _ => Finding::new(
            Cause::QueueFull,
            format!("More customers wait for {name} than its agents or its limit can take."),
        ),
    })
}

async fn unknown(patient: &Patient<'_>, skillset: &str) -> Seen {
    let known = currentqueue(patient.dialer, "").await.unwrap_or_default();
    let names = known.iter().map(|queue| queue.queue_name.as_str());
    let mut explanation = format!("AACC has no web chat skillset {skillset}.");
    if let Some(near) = names.clone().find(|name| name.eq_ignore_ascii_case(skillset)) {
        explanation += &format!(" It has {near}: large and small letters count.");
    }
    let finding = Finding::new(Cause::SkillsetUnknown, explanation);
    Seen::failed(finding).facts(names.map(|name| fact("AACC has", name)).collect::<Vec<_>>())
}

/// Chats work without metrics, so most of this only warns.
async fn failed(patient: &Patient<'_>, error: &QueueError) -> Seen {
    let unreachable = |explanation: String| Finding::new(Cause::QueueMetricsUnreachable, explanation);
    match error {
        QueueError::Dial(error @ DialError::Tls(_)) => {
            let (finding, _) = patient.upgrade(error).await;
            Seen::failed(finding)
        }
        QueueError::Status(503) => Seen::failed(Finding::new(
            Cause::Maintenance,
            "Queue metrics are answered with HTTP status 503 while the upgrade works: the contact center shuts down or is in \
             maintenance.",
        )),
        QueueError::Status(413) => Seen::failed(Finding::new(
            Cause::BodyLimitTooSmall,
            "The request for queue metrics was refused as too large (HTTP status 413), and it has less than a hundred bytes.",
        )),
        QueueError::Status(status @ (502 | 504)) => {
            let explanation =
                format!("The reverse proxy could not reach AACC for queue metrics (HTTP status {status}).");
            Seen::warned(unreachable(explanation).at(Place::Aacc))
        }
        QueueError::Status(status) => Seen::warned(unreachable(format!(
            "Queue metrics are answered with HTTP status {status} while the chat's upgrade works."
        ))),
        QueueError::BadAnswer => Seen::warned(Finding::new(
            Cause::QueueMetricsUnreadable,
            "Queue metrics are answered with something that is no list of metrics.",
        )),
        other => Seen::warned(unreachable(sentence(other))),
    }
}
