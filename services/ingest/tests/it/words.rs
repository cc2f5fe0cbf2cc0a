use crate::rig::{Rig, TOKEN, form, incoming, settings, text};
use crate::watched::Watched;
use ccm_ingest::{Batcher, Batching};
use ccm_runtime::Metrics;
use ccm_testkit::canary;

#[tokio::test(flavor = "multi_thread")]
async fn no_text_and_no_number_is_logged_traced_or_counted() {
    let (watched, metrics) = (Watched::start(), Metrics::install().unwrap());
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let server = rig.server(settings()).await;
    let (ours, body) = (canary::number(tenant.ours), canary::body(1));
    let good = text("SM1", 1, tenant, &body);
    for (status, token, form) in [
        (200, TOKEN, good.clone()),
        (200, TOKEN, good.clone()),
        (403, "another token", good),
        (200, TOKEN, text("SM2", 1, other, &body)),
        (
            422,
            TOKEN,
            form("SM3", &format!("whatsapp:{}", canary::number(1)), &ours, &body),
        ),
        (
            422,
            TOKEN,
            form("SM4", &canary::number(1), &ours, &format!("{body}\0")),
        ),
        (422, TOKEN, form(&body, &canary::number(1), &ours, &body)),
    ] {
        let answer = server.twilio(tenant.twilio, token, &form).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(canary::find_in(&answer.body).is_empty(), "{}", answer.body);
    }
    // A row that Postgres refuses, and quotes in its error.
    let (batcher, _workers) = Batcher::start(&rig.db, &rig.bus, Batching::default());
    let mut refused = incoming(tenant, 2, &body);
    refused.route.number = other.number;
    let error = batcher.accept(refused).await.unwrap_err();
    assert!(canary::find_in(&format!("{error} {error:?}")).is_empty());

    watched.assert_clean();
    let logs = watched.logs();
    for line in [
        "a number that its account does not have",
        "the signature does not fit",
        "cannot be stored",
    ] {
        assert!(logs.contains(line), "{line:?} is not in {logs}");
    }
    assert!(canary::find_in(&metrics.render()).is_empty());

    // The trace goes on with the stored text.
    let (_, texts) = &rig.texts(tenant).await[0];
    let trace = texts[0].trace_parent.clone().unwrap();
    let spans = watched.spans("ingest.webhook");
    let span = |id: String| trace == format!("00-{}-{id}-01", spans[0].span_context.trace_id());
    assert!(span(spans[0].span_context.span_id().to_string()), "{trace}");
}
