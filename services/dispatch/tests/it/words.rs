use crate::{
    provider::{Does, Provider},
    rig::{FAST, Rig, settings},
    watched::Watched,
};
use ccm_model::{MessageState, ProviderKind, TraceParent};
use ccm_runtime::Metrics;
use ccm_testkit::canary;

#[tokio::test(flavor = "multi_thread")]
async fn no_text_and_no_number_is_logged_traced_counted_or_kept_with_an_error() {
    let (watched, metrics) = (Watched::start(), Metrics::install().unwrap());
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let mut sent = Vec::new();
    for (n, kind) in [(1, ProviderKind::Twilio), (2, ProviderKind::Http)] {
        let tenant = rig.tenant(n, kind, &provider, FAST).await;
        sent.push(rig.chat(tenant, n).await);
    }
    let _dispatcher = rig.dispatcher(settings());
    for chat in sent {
        // The provider's words repeat the text and the number.
        provider.next([
            Does::Refuses(429, "20429", None),
            Does::Hangs,
            Does::Refuses(400, "21211", None),
        ]);
        let refused = rig.say(chat, &canary::body(1)).await;
        let row = rig.until(chat, refused, MessageState::Failed).await;
        let detail = row.error_detail.unwrap();
        assert!(canary::find_in(&detail).is_empty(), "{detail}");
        let taken = rig.say(chat, &canary::body(2)).await;
        rig.until(chat, taken, MessageState::Sent).await;
    }
    watched.assert_clean();
    let logs = watched.logs();
    assert_eq!(logs.matches("a text will not be sent").count(), 2, "{logs}");
    assert!(logs.contains("21211"));
    let metrics = metrics.render();
    assert!(canary::find_in(&metrics).is_empty());
    for counted in [
        "ccm_dispatch_sent_total{kind=\"twilio\"} 1",
        "ccm_dispatch_failed_total{kind=\"http\",class=\"refused\"} 1",
        "ccm_dispatch_retried_total{kind=\"twilio\",class=\"in_doubt\"} 1",
        "ccm_dispatch_resends_total{kind=\"twilio\"} 1",
    ] {
        assert!(metrics.contains(counted), "{counted} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_goes_on_with_the_trace_of_its_text() {
    let watched = Watched::start();
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let tenant = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let chat = rig.chat(tenant, 1).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let text = rig.say_in(chat, "text", TraceParent::parse(trace)).await;
    let dispatcher = rig.dispatcher(settings());
    rig.until(chat, text, MessageState::Sent).await;
    dispatcher.drain().await;
    let span = &watched.spans("dispatch.send")[0];
    assert_eq!(
        span.span_context.trace_id().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
}
