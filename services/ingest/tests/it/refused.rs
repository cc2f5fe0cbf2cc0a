use crate::rig::{Answer, IDS, PUBLIC, Rig, SID, TOKEN, form, now, settings, text};
use crate::sign;
use ccm_model::AccountId;
use ccm_runtime::Metrics;
use ccm_testkit::canary;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_account_gets_403_and_leaves_no_row() {
    let metrics = Metrics::install().unwrap();
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    let good = text("SM1", 1, tenant, "text");
    let path = format!("/v1/sms/twilio/{}", tenant.twilio);
    // As if the Host header were believed.
    let by_host = sign::twilio(TOKEN, &format!("{}{path}", server.url), &good);
    let by_host = server
        .request(Method::POST, &path)
        .header("x-twilio-signature", by_host);
    // As if the query did not matter.
    let query = sign::twilio(TOKEN, &format!("{PUBLIC}{path}"), &good);
    let query = server
        .request(Method::POST, &format!("{path}?a=1"))
        .header("x-twilio-signature", query);
    let unsigned = server.request(Method::POST, &path);
    let answers = [
        server.twilio(tenant.twilio, "another token", &good).await,
        Answer::of(unsigned.form(&good)).await,
        Answer::of(by_host.form(&good)).await,
        Answer::of(query.form(&good)).await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 403);
        assert_eq!(answer.problem(), ("bad-signature".to_owned(), None));
    }
    let counted = "ccm_ingest_refused_total{kind=\"twilio\",reason=\"signature\"} 4";
    assert!(metrics.render().contains(counted));

    let mut other = good.clone();
    other.iter_mut().find(|(name, _)| name == "AccountSid").unwrap().1 = SID.replace('0', "1");
    let answer = server.twilio(tenant.twilio, TOKEN, &other).await;
    assert_eq!(answer.problem().0, "wrong-account");
    let body = json!({ "id": "m-1", "from": "72345", "to": canary::number(tenant.ours), "text": "text" });
    let answer = server
        .generic(tenant.http, now() - Duration::from_secs(600), &body)
        .await;
    assert_eq!((answer.status, answer.problem().0.as_str()), (403, "stale"));
    assert_eq!(rig.rows(), 0);

    // With the query signed along, it counts.
    let url = format!("{path}?a=%20b");
    let signature = sign::twilio(TOKEN, &format!("{PUBLIC}{url}"), &good);
    let request = server
        .request(Method::POST, &url)
        .header("x-twilio-signature", signature);
    assert_eq!(Answer::of(request.form(&good)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_an_account_of_that_kind_tells_nothing() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    let without_request_id = |answer: Answer| {
        let mut problem: Value = serde_json::from_str(&answer.body).unwrap();
        problem["request_id"].take();
        (answer.status, problem)
    };
    let (twilio, http) = (tenant.twilio, tenant.http);
    let nobody = IDS.next::<AccountId>();
    let mut answers = Vec::new();
    for path in [
        format!("twilio/{nobody}"),
        format!("twilio/{http}"),
        format!("http/{twilio}"),
        format!("vonage/{twilio}"),
        "twilio/1".to_owned(),
        format!("twilio/{}", tenant.id),
    ] {
        let request = server.request(Method::POST, &format!("/v1/sms/{path}"));
        let answer = Answer::of(request.form(&text("SM1", 1, tenant, "text"))).await;
        assert_eq!(answer.problem().0, "not-found", "{path}");
        answers.push(without_request_id(answer));
    }
    assert_eq!(answers[0].0, 404);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(rig.rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_for_a_number_that_the_account_does_not_have_is_kept_once() {
    let metrics = Metrics::install().unwrap();
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let server = rig.server(settings()).await;
    // The number is another tenant's.
    for _ in 0..2 {
        let answer = server
            .twilio(tenant.twilio, TOKEN, &text("SM1", 1, other, "text"))
            .await;
        assert_eq!(answer.status, 200, "the provider is not to post it for ever");
    }
    assert_eq!(rig.rows(), 0);
    let letters = rig
        .db
        .tenant(tenant.id)
        .dead_letters(ccm_db::DeadLetterFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].kind.as_str(), letters[0].code.as_str()),
        ("unrouted", "ccm:unknown_number")
    );
    assert_eq!(letters[0].body.as_ref().unwrap().as_str(), "text");
    let of_other = rig
        .db
        .tenant(other.id)
        .dead_letters(ccm_db::DeadLetterFilter::default(), None, 10)
        .await
        .unwrap();
    assert!(
        of_other.is_empty(),
        "it was not sent through the other tenant's account"
    );
    let counted = "ccm_ingest_unrouted_total{kind=\"twilio\"} 2";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named_with_its_field() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    let ours = canary::number(tenant.ours);
    for (from, to, body, field) in [
        ("whatsapp:+14155550100", ours.as_str(), "text", "From"),
        ("+14155550100", "14155550199", "text", "To"),
        ("+14155550100", ours.as_str(), "te\0xt", "Body"),
    ] {
        let answer = server
            .twilio(tenant.twilio, TOKEN, &form("SM1", from, to, body))
            .await;
        assert_eq!(answer.status, 422);
        assert_eq!(
            answer.problem(),
            ("invalid-request".to_owned(), Some(field.to_owned()))
        );
    }
    let answer = server
        .generic(
            tenant.http,
            now(),
            &json!({ "id": "m-1", "from": "72345", "to": ours }),
        )
        .await;
    assert_eq!(answer.problem().1.as_deref(), Some("text"));
    let answer = server
        .twilio(tenant.twilio, TOKEN, &text("SM1", 1, tenant, &"x".repeat(70_000)))
        .await;
    assert_eq!((answer.status, answer.problem().0.as_str()), (413, "too-large"));
    let path = format!("/v1/sms/twilio/{}", tenant.twilio);
    for (method, status, problem) in [
        (Method::PUT, 405, "method-not-allowed"),
        // Some providers say it so; it is held to the same proof.
        (Method::GET, 403, "bad-signature"),
    ] {
        let answer = Answer::of(server.request(method, &path)).await;
        assert_eq!((answer.status, answer.problem().0.as_str()), (status, problem));
    }
    let answer = Answer::of(server.request(Method::POST, "/v1/sms")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(rig.rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_callback_is_answered_and_leaves_no_row() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    let mut callback = text("SM1", 1, tenant, "");
    callback.push(("MessageStatus".to_owned(), "delivered".to_owned()));
    assert_eq!(server.twilio(tenant.twilio, TOKEN, &callback).await.status, 200);
    assert_eq!(rig.rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_taken_away_or_given_counts_by_itself() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let server = rig.server(settings()).await;
    // Whether the text went into a conversation.
    let routed = async |sid: &str| {
        let before = rig.rows();
        let answer = server
            .twilio(tenant.twilio, TOKEN, &text(sid, 1, tenant, "text"))
            .await;
        assert_eq!(answer.status, 200);
        rig.rows() > before
    };
    let move_to = |address: &str| {
        let sql = format!(
            "update number set address = '{address}' where id = '{}'",
            tenant.number
        );
        rig.test.superuser_sql(&sql).unwrap();
        Instant::now()
    };
    assert!(routed("SM0").await);
    for (address, expected) in [("72345".to_owned(), false), (canary::number(tenant.ours), true)] {
        let moved = move_to(&address);
        let mut n = 0;
        while routed(&format!("SM-{address}-{n}")).await != expected {
            n += 1;
            assert!(moved.elapsed() < Duration::from_secs(60), "{n}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_being_deleted_is_unknown_and_another_is_not() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let server = rig.server(settings()).await;
    let deletion = ccm_db::NewDeletion {
        id: IDS.next(),
        reason: "contract has ended",
        by: "mary",
        grace_days: 30,
        at: now(),
    };
    let operator = rig.db.operator();
    operator.begin_deletion(tenant.id, deletion).await.unwrap();
    let refused = text("SM1", 1, tenant, "text");
    let answer = server.twilio(tenant.twilio, TOKEN, &refused).await;
    assert_eq!((answer.status, answer.problem().0.as_str()), (404, "not-found"));
    assert_eq!(rig.rows(), 0);
    let taken = text("SM2", 1, other, "text");
    assert_eq!(server.twilio(other.twilio, TOKEN, &taken).await.status, 200);
    operator.restore_tenant(tenant.id, "mary", now()).await.unwrap();
    // What was heard of it lasts a second.
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(server.twilio(tenant.twilio, TOKEN, &refused).await.status, 200);
}
