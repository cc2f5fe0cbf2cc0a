use crate::{LONG, NOW_NS, PHONE, SID, SOON, TOKEN, control::Control, http, sim, to_phone::twilio};
use ccm_carrier_sim::{Fault, OrderedReceipt, ReceiptStatus, Sim};
use serde_json::{Value, json};

async fn get(sim: &Sim, path: &str) -> (u16, Value) {
    let url = format!("{}{path}", sim.api_base());
    let request = http().get(url).basic_auth(SID, Some(TOKEN));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn ids(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|m| m["sid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn messages_are_listed_newest_first_in_pages() {
    let sim = sim(None, None).await;
    let other = "+19995550124";
    for (to, body) in [
        (PHONE, "a"),
        (PHONE, "b"),
        (other, "c"),
        (PHONE, "d"),
        (PHONE, "e"),
    ] {
        twilio(&sim, &[("From", LONG), ("To", to), ("Body", body)])
            .await
            .unwrap();
    }
    sim.text(PHONE, LONG, "from the phone").unwrap();
    sim.wait_received(PHONE, 4, SOON).await.unwrap();
    let list = format!("/2010-04-01/Accounts/{SID}/Messages.json");
    let to = format!("?To={}", PHONE.replace('+', "%2B"));
    let day = "2026-11-23";

    let (status, first) = get(
        &sim,
        &format!(
            "{list}{to}&From={}&DateSent%3E={day}&PageSize=3",
            LONG.replace('+', "%2B")
        ),
    )
    .await;
    assert_eq!(status, 200);
    let received = sim.wait_received(PHONE, 4, SOON).await.unwrap();
    let newest: Vec<&str> = received.iter().rev().map(|text| text.id.as_str()).collect();
    assert_eq!(ids(&first), newest[..3]);
    assert_eq!(
        (&first["page"], &first["page_size"], &first["end"]),
        (&json!(0), &json!(3), &json!(2))
    );
    let next = first["next_page_uri"].as_str().unwrap();
    let (_, second) = get(&sim, next).await;
    assert_eq!(ids(&second), newest[3..]);
    assert_eq!(
        (&second["page"], &second["next_page_uri"]),
        (&json!(1), &Value::Null)
    );

    for (query, n) in [
        (String::new(), 6),
        (format!("?From={}", PHONE.replace('+', "%2B")), 1),
        (format!("{to}&DateSent={day}"), 4),
        (format!("{to}&DateSent=2026-11-22"), 0),
        (format!("{to}&DateSent%3E=2026-11-24"), 0),
        (format!("{to}&DateSent%3C={day}"), 4),
        (format!("{to}&DateSent>=2026-11-23T08:00:00Z"), 4),
        (format!("{to}&DateSent>=2026-11-23T08:00:01Z"), 0),
    ] {
        let (status, page) = get(&sim, &format!("{list}{query}")).await;
        assert_eq!((status, ids(&page).len()), (200, n), "{query}");
    }
    assert_eq!(get(&sim, &format!("{list}?DateSent=today")).await.0, 400);
    let nobody = http()
        .get(format!("{}{list}", sim.api_base()))
        .send()
        .await
        .unwrap();
    assert_eq!(nobody.status().as_u16(), 401);
}

#[tokio::test]
async fn a_message_says_what_became_of_it() {
    let sim = sim(None, None).await;
    let failed = OrderedReceipt {
        code: Some("30005".into()),
        ..ReceiptStatus::Undelivered.into()
    };
    for receipts in [
        vec![],
        vec![ReceiptStatus::Sent.into(), ReceiptStatus::Delivered.into()],
        vec![failed],
    ] {
        sim.fault(Fault::Receipts {
            receipts,
            early: false,
        });
        twilio(&sim, &[("From", LONG), ("To", PHONE), ("Body", "x")])
            .await
            .unwrap();
    }
    sim.wait_quiet(SOON).await.unwrap();
    let date = json!("Mon, 23 Nov 2026 08:00:00 +0000");
    let expected = [
        ("queued", Value::Null, Value::Null),
        ("delivered", date.clone(), Value::Null),
        ("undelivered", date.clone(), json!(30005)),
    ];
    for (text, (status, date_sent, code)) in sim.record().received.iter().zip(expected) {
        assert_eq!(text.at_ms, NOW_NS / 1_000_000);
        let path = format!("/2010-04-01/Accounts/{SID}/Messages/{}.json", text.id);
        let (_, message) = get(&sim, &path).await;
        assert_eq!(
            (
                &message["status"],
                &message["date_sent"],
                &message["error_code"],
                &message["date_created"]
            ),
            (&json!(status), &date_sent, &code, &date)
        );
        assert_eq!(message["direction"], "outbound-api");
    }
    let missing = format!("/2010-04-01/Accounts/{SID}/Messages/SM1.json");
    assert_eq!(get(&sim, &missing).await.0, 404);
}

#[tokio::test]
async fn lookup_tells_what_kind_of_line_a_number_is() {
    let sim = sim(None, None).await;
    let control = Control::of(&sim);
    let look = async |number: &str| {
        let path = format!("/v2/PhoneNumbers/{number}?Fields=line_type_intelligence");
        let (status, answer) = get(&sim, &path).await;
        assert_eq!(status, 200);
        answer
    };
    let mobile = look(PHONE).await;
    assert_eq!(
        (
            &mobile["valid"],
            &mobile["country_code"],
            &mobile["national_format"],
            &mobile["phone_number"]
        ),
        (
            &json!(true),
            &json!("US"),
            &json!("(999) 555-0123"),
            &json!(PHONE)
        )
    );
    assert_eq!(mobile["line_type_intelligence"]["type"], "mobile");
    let line = json!({ "type": "landline", "carrier_name": "Old Bell" });
    assert_eq!(control.put(&format!("/phones/{PHONE}/line"), line).await, 204);
    assert_eq!(
        look(PHONE).await["line_type_intelligence"],
        json!({
            "type": "landline", "carrier_name": "Old Bell", "mobile_country_code": null,
            "mobile_network_code": null, "error_code": null,
        })
    );
    for (line, field, value) in [
        (json!({ "type": "fixedVoip" }), "type", json!("fixedVoip")),
        (json!({ "type": "tollFree" }), "carrier_name", Value::Null),
        (json!({ "error_code": 60600 }), "error_code", json!(60600)),
    ] {
        control.put(&format!("/phones/{PHONE}/line"), line).await;
        assert_eq!(look(PHONE).await["line_type_intelligence"][field], value);
    }
    control
        .put(&format!("/phones/{PHONE}/line"), json!({ "invalid": true }))
        .await;
    for (number, error) in [
        (PHONE, "INVALID_BUT_POSSIBLE"),
        ("+123", "TOO_SHORT"),
        ("12345678", "NOT_A_NUMBER"),
        ("+1234567890123456", "TOO_LONG"),
    ] {
        let answer = look(number).await;
        assert_eq!(
            (
                &answer["valid"],
                &answer["validation_errors"],
                &answer["line_type_intelligence"]
            ),
            (&json!(false), &json!([error]), &Value::Null)
        );
    }
    let plain = get(&sim, "/v2/PhoneNumbers/+4930123456").await.1;
    assert_eq!(
        (&plain["country_code"], &plain["line_type_intelligence"]),
        (&json!("DE"), &Value::Null)
    );
    let url = format!("{}/v2/PhoneNumbers/{PHONE}", sim.api_base());
    assert_eq!(http().get(url).send().await.unwrap().status().as_u16(), 401);
    let wrong = json!({ "type": "satellite" });
    assert_eq!(control.put(&format!("/phones/{PHONE}/line"), wrong).await, 422);
}
