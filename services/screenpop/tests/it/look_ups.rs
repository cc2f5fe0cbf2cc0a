//! Numbers, with and without what the provider says.

use crate::rig::{BEGIN, MOBILE, Rig, SID, Tenant, ours};
use axum::{Json, Router, http::header::RETRY_AFTER, routing::get};
use ccm_carrier_sim::{LineType, PhoneLine, Sim};
use ccm_db::{AccountChange, ConsentChange, ConsentSource, DbError};
use ccm_model::{MessageId, ProviderKind};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

const DAY: Duration = Duration::from_secs(86_400);

fn line(line_type: LineType) -> PhoneLine {
    PhoneLine {
        line_type,
        carrier_name: Some("Eir Mobile".into()),
        ..PhoneLine::default()
    }
}

/// From now on the tenant's one account asks another provider.
async fn ask_at(rig: &Rig, tenant: &Tenant, base: String) {
    let db = rig.deps.db.tenant(tenant.id);
    let account = db.accounts().await.unwrap()[0].id;
    db.change_account(account, |row| {
        Ok::<_, DbError>(AccountChange {
            name: row.name.clone(),
            settings: json!({ "account_sid": SID, "api_base": base }),
            secret: None,
            rules: row.rules.clone(),
        })
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_number_is_told_without_asking_anybody_unless_that_is_wanted() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    rig.sim.shutdown().await;
    let known = rig.check(&tenant, "086%20123%204567", "&region=IE").await.ok();
    assert_eq!(
        known,
        json!({"form": "full", "address": MOBILE, "valid": true, "national": "086 123 4567",
               "international": "+353 86 123 4567", "region": "IE", "kind": "mobile", "textable": true,
               "not_textable_because": null, "opted_out_of": [], "lookup_status": "not_asked", "lookup": null,
               "lookup_failure": null})
    );
    for (number, more, field) in [
        ("0861234567", "", "number"),
        ("", "&lookup=true", "number"),
        ("0861234567", "&region=Ireland", "region"),
        (MOBILE, "&from=%2B1", "from"),
        (MOBILE, "&lookup=perhaps", "lookup"),
    ] {
        assert_eq!(
            rig.check(&tenant, number, more).await.problem(400),
            field,
            "{more}"
        );
    }
}

#[tokio::test]
async fn a_mobile_and_a_landline_are_told_apart_by_the_provider() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    rig.sim.set_line(MOBILE, line(LineType::Mobile));
    let known = rig.look_up(&tenant, MOBILE).await;
    assert_eq!(
        (&known["lookup_status"], &known["lookup"]),
        (
            &json!("done"),
            &json!({"valid": true, "country": null, "line_type": "mobile", "carrier_name": "Eir Mobile",
                    "mobile_country_code": "240", "mobile_network_code": "38",
                    "looked_up_at": "2026-11-23T08:00:00Z"})
        )
    );
    assert_eq!(
        (&known["textable"], &known["lookup_failure"]),
        (&json!(true), &Value::Null)
    );

    // The plan calls it a mobile; it has been ported.
    let ported = "+353861234568";
    rig.sim.set_line(ported, line(LineType::Landline));
    let known = rig.look_up(&tenant, ported).await;
    assert_eq!(
        (&known["kind"], &known["lookup"]["line_type"], &known["textable"]),
        (&json!("mobile"), &json!("fixed_line"), &json!(false))
    );
    assert!(
        known["not_textable_because"]
            .as_str()
            .unwrap()
            .contains("fixed line")
    );

    // The plan calls it a fixed line, and it takes texts.
    let voip = "+35312345678";
    rig.sim.set_line(voip, line(LineType::NonFixedVoip));
    let before = rig.check(&tenant, voip, "").await.ok();
    let known = rig.look_up(&tenant, voip).await;
    assert_eq!(
        (&before["textable"], &known["textable"]),
        (&json!(false), &json!(true))
    );
}

#[tokio::test]
async fn what_the_provider_does_not_know_leaves_the_plans_word() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    let nobodys = PhoneLine {
        invalid: true,
        ..PhoneLine::default()
    };
    rig.sim.set_line(MOBILE, nobodys);
    let known = rig.look_up(&tenant, MOBILE).await;
    assert_eq!(
        (&known["valid"], &known["lookup"]["valid"], &known["textable"]),
        (&json!(true), &json!(false), &json!(false))
    );
    let unknown = PhoneLine {
        error_code: Some(60600),
        ..PhoneLine::default()
    };
    rig.sim.set_line("+353861234568", unknown);
    let known = rig.look_up(&tenant, "+353861234568").await;
    assert_eq!(
        (
            &known["lookup_status"],
            &known["lookup"]["line_type"],
            &known["textable"]
        ),
        (&json!("done"), &Value::Null, &json!(true))
    );
    let short = rig.look_up(&tenant, "72345").await;
    assert_eq!(
        (&short["lookup_status"], &short["lookup"], &short["textable"]),
        (&json!("unavailable"), &Value::Null, &json!(true))
    );
}

#[tokio::test]
async fn an_answer_is_paid_for_once() {
    let rig = Rig::new().await;
    let (tenant, other) = (
        rig.tenant(1, ProviderKind::Twilio).await,
        rig.tenant(2, ProviderKind::Twilio).await,
    );
    rig.sim.set_line(MOBILE, line(LineType::Mobile));
    let first = rig.look_up(&tenant, MOBILE).await;
    // Whoever asks the provider again gets another answer.
    rig.sim.set_line(MOBILE, line(LineType::Landline));
    rig.pass(29 * DAY);
    assert_eq!(rig.look_up(&tenant, MOBILE).await, first);
    let theirs = rig.look_up(&other, MOBILE).await;
    assert_eq!(
        theirs["lookup"]["line_type"], "fixed_line",
        "what one tenant pays for, another does not see"
    );
    rig.pass(2 * DAY);
    let anew = rig.look_up(&tenant, MOBILE).await;
    assert_eq!(anew["lookup"]["line_type"], "fixed_line");
    rig.sim.shutdown().await;
    assert_eq!(rig.look_up(&tenant, MOBILE).await, anew, "nobody is asked");
}

/// An agent who closes the page, or has it load again, while the provider thinks.
#[tokio::test]
async fn an_answer_that_nobody_waits_for_any_more_is_paid_for_once_too() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    let asked = Arc::new(AtomicU32::new(0));
    let times = asked.clone();
    let slow = move || async move {
        times.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(500)).await;
        Json(json!({"valid": true, "line_type_intelligence": {"type": "mobile"}}))
    };
    let provider = Router::new().route("/v2/PhoneNumbers/{number}", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, provider).await });
    ask_at(&rig, &tenant, format!("http://{at}")).await;
    tokio::select! {
        _ = rig.look_up(&tenant, MOBILE) => panic!("the provider takes longer"),
        () = async {
            while asked.load(Ordering::SeqCst) == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    let number = MOBILE.parse().unwrap();
    let kept = async {
        let db = rig.deps.db.tenant(tenant.id);
        while db.number_lookup(&number, BEGIN).await.unwrap().is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), kept).await.expect("it is kept");
    assert_eq!(rig.look_up(&tenant, MOBILE).await["lookup_status"], "done");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_costs_only_what_it_alone_knows() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    rig.sim.shutdown().await;
    let known = rig.look_up(&tenant, MOBILE).await;
    assert_eq!(
        (&known["lookup_status"], &known["lookup"], &known["textable"]),
        (&json!("failed"), &Value::Null, &json!(true))
    );
    let failure = &known["lookup_failure"];
    assert_eq!(failure["retryable"], true);
    assert!(
        failure["message"].as_str().unwrap().contains("try again"),
        "{failure}"
    );
}

#[tokio::test]
async fn credentials_that_are_refused_are_the_operators_to_mend() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    // A Twilio that has no such account.
    let stranger = Sim::start(Default::default()).await.unwrap();
    ask_at(&rig, &tenant, stranger.api_base()).await;
    let known = rig.look_up(&tenant, MOBILE).await;
    assert_eq!(known["lookup_status"], "failed");
    assert_eq!(known["lookup_failure"]["retry_after_s"], 60, "{known}");
}

#[tokio::test]
async fn a_gateway_tells_nothing_about_numbers() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let known = rig.look_up(&tenant, MOBILE).await;
    assert_eq!(
        (&known["lookup_status"], &known["lookup_failure"]["retryable"]),
        (&json!("unavailable"), &json!(false))
    );
    assert!(known["lookup_failure"]["message"].is_string());
    let bare = rig.bare_tenant("bare").await;
    assert_eq!(rig.look_up(&bare, MOBILE).await["lookup_status"], "unavailable");
}

#[tokio::test]
async fn the_number_that_is_texted_from_says_who_is_asked() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    let twilio = rig.deps.db.tenant(tenant.id).accounts().await.unwrap()[0].id;
    rig.add_number(&tenant, 2, twilio).await;
    assert_eq!(rig.look_up(&tenant, MOBILE).await["lookup_status"], "done");
    let gateway = rig.add_account(&tenant, "second", ProviderKind::Http).await;
    rig.add_number(&tenant, 3, gateway).await;
    let ambiguous = rig.check(&tenant, MOBILE, "&lookup=true").await;
    assert_eq!(ambiguous.problem(400), "from");
    for (n, status) in [(1, "done"), (2, "done"), (3, "unavailable")] {
        let more = format!("&lookup=true&from={}", ours(n).replace('+', "%2B"));
        let known = rig.check(&tenant, MOBILE, &more).await.ok();
        assert_eq!(known["lookup_status"], status, "{n}");
    }
    let theirs = rig.tenant(4, ProviderKind::Twilio).await;
    let more = format!("&lookup=true&from={}", ours(4).replace('+', "%2B"));
    assert_eq!(rig.check(&tenant, MOBILE, &more).await.problem(422), "from");
    rig.check(&theirs, MOBILE, &more).await.ok();
}

#[tokio::test]
async fn who_has_opted_out_is_told() {
    let rig = Rig::new().await;
    let (tenant, other) = (
        rig.tenant(1, ProviderKind::Twilio).await,
        rig.tenant(2, ProviderKind::Twilio).await,
    );
    let change = ConsentChange {
        event: rig.deps.ids.next::<MessageId>().0,
        our_address: &ours(1).parse().unwrap(),
        customer_address: &MOBILE.parse().unwrap(),
        opted_out: true,
        source: ConsentSource::Keyword,
        message: None,
        evidence: None,
        at: BEGIN,
    };
    let db = rig.deps.db.tenant(tenant.id);
    db.change_consent(&change).await.unwrap();
    let known = rig.look_up(&tenant, MOBILE).await;
    assert_eq!(
        known["opted_out_of"],
        json!([{"our_address": ours(1), "source": "keyword", "since": "2026-11-23T08:00:00Z"}])
    );
    assert_eq!(rig.look_up(&other, MOBILE).await["opted_out_of"], json!([]));
}

#[tokio::test]
async fn a_tenant_looks_up_at_its_rate() {
    let mut rig = Rig::new().await;
    rig.deps.settings.look_ups_per_minute = 2;
    let (tenant, other) = (
        rig.tenant(1, ProviderKind::Twilio).await,
        rig.tenant(2, ProviderKind::Twilio).await,
    );
    let number = |n: u32| format!("+35386123456{n}");
    for n in 0..2 {
        assert_eq!(rig.look_up(&tenant, &number(n)).await["lookup_status"], "done");
    }
    let refused = rig.check(&tenant, &number(2), "&lookup=true").await;
    assert_eq!(refused.problem(429), "lookup");
    assert_eq!(refused.headers[RETRY_AFTER], "30");
    assert_eq!(
        rig.look_up(&tenant, &number(0)).await["lookup_status"],
        "done",
        "what is known costs nothing"
    );
    rig.check(&tenant, &number(2), "").await.ok();
    assert_eq!(rig.look_up(&other, &number(2)).await["lookup_status"], "done");
    rig.pass(Duration::from_secs(30));
    assert_eq!(rig.look_up(&tenant, &number(2)).await["lookup_status"], "done");
}
