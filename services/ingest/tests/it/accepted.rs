use crate::rig::{Rig, TOKEN, address, now, settings, text};
use ccm_bus::{Topic, Wake};
use ccm_model::{Direction, MessageState, Origin, TraceParent};
use ccm_runtime::{
    config::{LogFormat, TelemetryConfig},
    telemetry,
};
use ccm_testkit::canary;
use futures::future::join_all;
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_text_is_stored_answered_with_twiml_and_wakes_the_connector() {
    let config = TelemetryConfig {
        log_format: LogFormat::Text,
        log_filter: "info".to_owned(),
        otlp_endpoint: None,
        metrics_tenants: 0,
    };
    let _telemetry = telemetry::init(&config, "ingest").unwrap();
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    let mut wakes = rig.bus.subscribe(&Topic::all_inbound());
    let body = canary::body(7);
    let answer = server
        .twilio(tenant.twilio, TOKEN, &text("SM1", 1, tenant, &body))
        .await;
    assert_eq!((answer.status, answer.kind.as_str()), (200, "text/xml"));
    assert!(answer.body.ends_with("<Response/>"), "{}", answer.body);

    let conversations = rig
        .db
        .tenant(tenant.id)
        .conversations(None, None, 10)
        .await
        .unwrap();
    assert_eq!(conversations.len(), 1);
    let conversation = &conversations[0];
    assert_eq!(conversation.customer_address, address(1));
    assert_eq!(conversation.our_address, address(tenant.ours));
    assert_eq!(conversation.number, tenant.number);
    let (_, texts) = &rig.texts(tenant).await[0];
    assert_eq!(texts.len(), 1);
    let stored = &texts[0];
    assert_eq!(stored.body.as_str(), body);
    assert_eq!(
        (stored.seq, stored.direction, stored.origin),
        (1, Direction::Mo, Origin::Customer)
    );
    assert_eq!(stored.state, MessageState::Accepted);
    assert_eq!(stored.provider_message_id.as_deref(), Some("SM1"));
    let trace = stored
        .trace_parent
        .as_deref()
        .expect("the trace goes on from here");
    assert!(TraceParent::parse(trace).is_some());

    let woken = async {
        loop {
            if let Wake::Inbound { tenant, conversation } = wakes.next().await {
                return (tenant, conversation);
            }
        }
    };
    let woken = timeout(Duration::from_secs(5), woken).await.unwrap();
    assert_eq!(woken, (tenant.id, conversation.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_generic_provider_is_answered_in_its_dialect() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    let body = json!({
        "id": "m-1",
        "from": "72345",
        "to": canary::number(tenant.ours),
        "text": "Grüße 😀 a < b",
        "sent_at": "2026-11-23T08:00:00Z",
    });
    let answer = server.generic(tenant.http, now(), &body).await;
    assert_eq!((answer.status, answer.kind.as_str()), (202, "application/json"));
    let (customer, texts) = &rig.texts(tenant).await[0];
    assert_eq!(customer.as_str(), "72345");
    assert_eq!(texts[0].body.as_str(), "Grüße 😀 a < b");
    assert_eq!(texts[0].provider_message_id.as_deref(), Some("m-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_again_is_taken_again_and_stored_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    let form = text("SM1", 1, tenant, "text");
    for _ in 0..2 {
        assert_eq!(server.twilio(tenant.twilio, TOKEN, &form).await.status, 200);
    }
    let again = join_all((0..20).map(|_| server.twilio(tenant.twilio, TOKEN, &form))).await;
    assert!(again.iter().all(|answer| answer.status == 200), "{again:?}");
    let at_once = text("SM2", 2, tenant, "text");
    let at_once = join_all((0..20).map(|_| server.twilio(tenant.twilio, TOKEN, &at_once))).await;
    assert!(at_once.iter().all(|answer| answer.status == 200), "{at_once:?}");
    let stored: Vec<usize> = rig
        .texts(tenant)
        .await
        .iter()
        .map(|(_, texts)| texts.len())
        .collect();
    assert_eq!(stored, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_texts_at_once_are_stored_once_each_without_gaps() {
    let rig = Rig::new().await;
    let tenants = [rig.tenant(1).await, rig.tenant(2).await];
    let server = rig.server(settings()).await;
    let mut posts = Vec::new();
    let mut sent = [BTreeSet::new(), BTreeSet::new()];
    for n in 0..1000u32 {
        let which = (n % 2) as usize;
        let (tenant, body) = (tenants[which], format!("text {n}"));
        let form = text(&format!("SM{n}"), n % 10, tenant, &body);
        sent[which].insert((address(n % 10), body));
        let server = &server;
        posts.push(async move { server.twilio(tenant.twilio, TOKEN, &form).await });
    }
    let answers = join_all(posts).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    for (tenant, sent) in tenants.into_iter().zip(sent) {
        let mut stored = BTreeSet::new();
        for (customer, texts) in rig.texts(tenant).await {
            for (n, text) in (1..).zip(texts) {
                assert_eq!(text.seq, n, "sequences have no gaps");
                stored.insert((customer.clone(), text.body.as_str().to_owned()));
            }
        }
        assert_eq!(stored.len(), 500);
        assert!(stored == sent);
    }
    let inbox = rig.test.superuser_sql("select count(*) from inbox").unwrap();
    assert_eq!(inbox, "1000", "each waits for its agent");
}
