use crate::{
    LONG, NAME, PHONE, SHORT, SID, SOON,
    control::Control,
    sim,
    to_phone::{generic, twilio},
    webhook::Webhook,
};
use ccm_carrier_sim::Rate;
use serde_json::{Value, json};

const FORM: [(&str, &str); 3] = [("From", LONG), ("To", PHONE), ("Body", "x")];

#[tokio::test]
async fn a_carrier_refuses_texts_to_a_phone_that_is_opted_out() {
    let sim = sim(None, None).await;
    let control = Control::of(&sim);
    for number in [LONG, SHORT] {
        let path = format!("/numbers/{number}/opt-outs/{PHONE}");
        assert_eq!(control.put(&path, json!({})).await, 204);
        let listed: Vec<String> = control.get(&format!("/numbers/{number}/opt-outs")).await;
        assert_eq!(listed, [PHONE]);
    }
    let response = twilio(&sim, &FORM).await.unwrap();
    assert_eq!(response.status().as_u16(), 400);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], 21610);
    let (status, error) = generic(&sim, "k", "x", 1).await.unwrap();
    assert_eq!((status, &error["code"]), (400, &json!("opted_out")));
    let path = format!("{}/numbers/{LONG}/opt-outs/{PHONE}", control.base);
    assert_eq!(
        control.http.delete(path).send().await.unwrap().status().as_u16(),
        204
    );
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 201);
    let unknown = format!("/numbers/+15550000000/opt-outs/{PHONE}");
    assert_eq!(control.put(&unknown, json!({})).await, 409);
}

#[tokio::test]
async fn a_carrier_heeds_stop_if_it_is_told_to() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(Some(webhook.url.clone()), Some(webhook.url.clone())).await;
    let control = Control::of(&sim);
    sim.text(PHONE, LONG, "STOP").unwrap();
    assert_eq!(
        twilio(&sim, &FORM).await.unwrap().status().as_u16(),
        201,
        "as a rule it does not"
    );
    let options = json!({ "carrier_handles_stop": true });
    for account in [SID, NAME] {
        assert_eq!(
            control
                .put(&format!("/accounts/{account}/options"), options.clone())
                .await,
            204
        );
    }
    sim.text(PHONE, LONG, "stop it").unwrap();
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 201);
    sim.text(PHONE, LONG, " Stop\n").unwrap();
    sim.text(PHONE, SHORT, "unsubscribe").unwrap();
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 400);
    assert_eq!(generic(&sim, "k", "x", 1).await.unwrap().0, 400);
    sim.text(PHONE, LONG, "START").unwrap();
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 201);
    sim.wait_quiet(SOON).await.unwrap();
    let forms = webhook.posts();
    let bodies = forms.iter().filter(|post| post.body.contains("Body=")).count();
    assert_eq!(bodies, 4, "keywords are posted like other texts");
    assert_eq!(
        control
            .put("/accounts/nobody/options", json!({ "receipts": false }))
            .await,
        404
    );
    let listed: Value = control.get("/accounts").await;
    assert_eq!(
        listed["accounts"][0]["options"],
        json!({ "carrier_handles_stop": true, "receipts": true })
    );
}

#[tokio::test]
async fn a_number_that_sends_too_fast_is_told_to_wait_and_counted() {
    let sim = sim(None, None).await;
    let control = Control::of(&sim);
    let limit = |account: &str| json!({ "account": account, "segments_per_second": 0.5, "burst": 3 });
    assert_eq!(control.put(&format!("/numbers/{LONG}"), limit(SID)).await, 204);
    assert_eq!(control.put(&format!("/numbers/{SHORT}"), limit(NAME)).await, 204);
    // The clock stands still: nothing is regained.
    let long = "x".repeat(161);
    let form = [FORM[0], FORM[1], ("Body", long.as_str())];
    assert_eq!(
        twilio(&sim, &form).await.unwrap().status().as_u16(),
        201,
        "two segments"
    );
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 201);
    let refused = twilio(&sim, &FORM).await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"2".parse().unwrap())
    );
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], 20429);
    for n in 0..5 {
        let (status, error) = generic(&sim, &format!("k{n}"), "x", 1).await.unwrap();
        if n < 3 {
            assert_eq!(status, 202);
        } else {
            assert_eq!((status, &error["code"]), (429, &json!("rate_limited")));
        }
    }
    let stats: Value = control.get("/stats").await;
    assert_eq!(stats["rate_violations"], json!({ LONG: 1, SHORT: 2 }));
    assert_eq!(stats["traffic"]["sends"], 8);
    assert_eq!(stats["traffic"]["taken"], 5);
    let listed: Value = control.get("/accounts").await;
    assert_eq!(listed["rates"][LONG]["segments_per_second"], 0.5);

    control
        .put(&format!("/numbers/{LONG}"), json!({ "account": SID }))
        .await;
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 201);
    let none = json!({ "account": SID, "segments_per_second": 0 });
    assert_eq!(control.put(&format!("/numbers/{LONG}"), none).await, 422);
    let rate = Rate {
        segments_per_second: 9.0,
        burst: None,
    };
    sim.set_rate(LONG, Some(rate)).unwrap();
    assert_eq!(sim.rate(LONG), Some(rate));
}
