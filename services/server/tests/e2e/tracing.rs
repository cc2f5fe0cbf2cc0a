use crate::{
    collector::Collector,
    play::{CUSTOMER, SOON, Talk, all_is_well, world},
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

/// One trace follows a customer's text from ingest to the connector, another an agent's text from the connector to dispatch;
/// both stand with the stored text.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_follows_a_text_across_the_roles() {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint.clone();
    let world = world()
        .stack(|s| s.env("CCM__TELEMETRY__OTLP_ENDPOINT", endpoint))
        .start()
        .await
        .unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("follow me").await;
    let guid = talk.accept().await;
    talk.agent_has_all().await;
    talk.answer(guid, "and me");
    talk.phone_has_all().await;

    let stored = world.admin.transcripts(&talk.tenant.made.id).await.unwrap();
    for (message, expected) in stored[0]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .zip([["ccm-ingest", "ccm-connector"], ["ccm-connector", "ccm-dispatch"]])
    {
        let parent = message["trace_parent"]
            .as_str()
            .expect("a trace is stored with the text");
        let trace = parent.split('-').nth(1).unwrap().to_owned();
        let expected = BTreeSet::from(expected.map(String::from));
        let deadline = Instant::now() + SOON;
        loop {
            let services: BTreeSet<String> = collector
                .spans()
                .into_iter()
                .filter(|s| s.trace == trace)
                .map(|s| s.service)
                .collect();
            if services.is_superset(&expected) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "trace {trace} was seen in {services:?}, not in {expected:?}"
            );
            sleep(Duration::from_millis(200)).await;
        }
        let spans: Vec<_> = collector
            .spans()
            .into_iter()
            .filter(|s| s.trace == trace)
            .collect();
        let linked =
            |s: &&crate::collector::Span| spans.iter().any(|p| p.id == s.parent && p.service != s.service);
        assert!(
            spans.iter().any(|s| linked(&s)),
            "a span of the second role hangs on one of the first: {spans:?}"
        );
        assert!(spans.iter().all(|s| !s.name.is_empty()), "{spans:?}");
    }
    all_is_well(&world).await;
}
