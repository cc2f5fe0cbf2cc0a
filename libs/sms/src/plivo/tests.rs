use super::*;
use crate::{
    Check,
    sign::Signer,
    testing::{Post, URL, account},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::{Address, Body, ProviderKind};
use serde_json::json;

const TOKEN: &str = "a token of Plivo's";

fn plivo() -> crate::Account {
    let secret = json!({"auth_token": TOKEN, "previous_auth_token": "the token before it"});
    account(
        ProviderKind::Plivo,
        &json!({"auth_id": "MAXXXXXXXXXXXXXXXXXX"}),
        &secret,
    )
}

fn sign(token: &str, text: &str) -> String {
    BASE64_STANDARD.encode(Signer::sha256(&token.into()).sign(&[text.as_bytes()]))
}

fn post(form: &str) -> Post {
    let parsed: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let signature = sign(TOKEN, &signature::signed(URL, &parsed, "05429567804466091622"));
    Post::new(
        vec![
            ("x-plivo-signature-v3", signature),
            ("x-plivo-signature-v3-nonce", "05429567804466091622".into()),
        ],
        form.to_owned(),
    )
}

/// What `construct_post_url` and `get_signature_v3` of Plivo's own library make of these, written out by hand.
#[test]
fn what_is_signed_is_what_plivos_library_signs() {
    let form = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    for (url, pairs, signed) in [
        ("https://x.example/a/", vec![], "https://x.example/a/.77"),
        (
            "https://x.example/a?b=2&a=1",
            vec![],
            "https://x.example/a?a=1&b=2.77",
        ),
        (
            "https://x.example/a",
            vec![("To", "1"), ("From", "2")],
            "https://x.example/a?From2To1.77",
        ),
        (
            "https://x.example/a?b=2&a=1",
            vec![("To", "1"), ("From", "2")],
            "https://x.example/a?a=1&b=2.From2To1.77",
        ),
    ] {
        assert_eq!(signature::signed(url, &form(&pairs), "77"), signed);
    }
}

const TEXT: &str = "To=4759440448&From=4795961111&TotalRate=0&Units=1&Text=Msg&TotalAmount=0&Type=sms&MessageUUID=7a242edc-2f57-11e7-98c9-06ab0bf64327";

#[test]
fn the_example_of_a_text_is_read() {
    let expected = Event::Text {
        provider_id: "7a242edc-2f57-11e7-98c9-06ab0bf64327".into(),
        from: Address::parse("+4795961111").unwrap(),
        to: Address::parse("+4759440448").unwrap(),
        body: Body::new("Msg").unwrap(),
        sent_at: None,
        segments: Some(1),
        media: 0,
        part: None,
    };
    assert_eq!(
        post(TEXT).take(&plivo(), Check::Enforce).unwrap().events,
        [expected]
    );
    let picture = format!("{TEXT}&Media0=https%3A%2F%2Fx%2F0&Media1=https%3A%2F%2Fx%2F1&MediaCount=2");
    let events = post(&picture).take(&plivo(), Check::Enforce).unwrap().events;
    assert!(matches!(&events[..], [Event::Text { media: 2, .. }]));
}

#[test]
fn the_example_of_a_receipt_is_read_with_each_status() {
    for (status, code, expected) in [
        ("queued", "", Some(Report::Queued)),
        ("sent", "", Some(Report::Sent)),
        ("delivered", "", Some(Report::Delivered)),
        ("undelivered", "30", Some(Report::Undeliverable)),
        ("failed", "40", Some(Report::Failed)),
        ("rejected", "10", Some(Report::Failed)),
        ("something new", "", None),
    ] {
        let form = format!(
            "Status={status}&From=13342031111&ParentMessageUUID=83876bdb-2033-4876-bfaf-0ff8693705af&TotalRate=0.0025&MCC=405&PartInfo=2+of+2\
             &ErrorCode={code}&To=918553651111&Units=1&TotalAmount=0.0025&MNC=803&MessageUUID=93876bdb-2033-4876-bfaf-0ff8693705af"
        );
        let events = post(&form).take(&plivo(), Check::Enforce).unwrap().events;
        let expected = expected.map(|report| Event::Receipt {
            provider_id: "83876bdb-2033-4876-bfaf-0ff8693705af".into(),
            report,
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
            at: None,
        });
        assert_eq!(events, Vec::from_iter(expected), "{status}");
    }
}

#[test]
fn what_is_not_signed_for_us_is_refused() {
    let good = post(TEXT);
    let signed = &good.headers[0].1;
    good.is_held_to_its_signature(
        &plivo(),
        &[
            ("none", good.without_header("x-plivo-signature-v3")),
            ("no nonce", good.without_header("x-plivo-signature-v3-nonce")),
            ("other nonce", good.with_header("x-plivo-signature-v3-nonce", "1")),
            (
                "other token",
                good.with_header("x-plivo-signature-v3", &sign("another", "x")),
            ),
            ("other text", good.with_body(&TEXT.replace("Msg", "Mst"))),
            ("parameter more", good.with_body(&format!("{TEXT}&A=b"))),
            (
                "other address",
                Post {
                    url: format!("{URL}?a=b"),
                    ..good.clone()
                },
            ),
            ("not base64", good.with_header("x-plivo-signature-v3", "???")),
        ],
    );
    let several = good.with_header(
        "x-plivo-signature-v3",
        &format!("{},{signed}", sign("another", "x")),
    );
    several.take(&plivo(), Check::Enforce).unwrap();
}

#[test]
fn what_cannot_be_read_is_named() {
    for (from, to, words) in [
        (
            "MessageUUID=7a242edc-2f57-11e7-98c9-06ab0bf64327",
            "X=y",
            "MessageUUID is missing",
        ),
        ("7a242edc", "7a+242edc", "MessageUUID must be 1 to 128"),
        ("From=4795961111", "From=", "From is missing"),
        ("To=4759440448", "To=not:one", "To is not"),
        ("Text=Msg", "Text=%00", "Text contains a NUL"),
    ] {
        let e = post(&TEXT.replace(from, to))
            .take(&plivo(), Check::Enforce)
            .unwrap_err();
        assert_eq!(e.status().as_u16(), 422);
        assert!(e.to_string().starts_with(words), "{e}");
        assert!(!format!("{e:?}").contains("4795961111"));
    }
}
