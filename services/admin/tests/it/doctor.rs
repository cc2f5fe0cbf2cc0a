//! The link doctor over the API, against AACCs that are well and broken; its reports, kept and shared.

use crate::app::{Answer, App, Tenant};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use ccm_aacc_sim::{Config, ServerCertificate, Sim, TlsSetup};
use ccm_auth::Role;
use ccm_db::DoctorReportRow;
use ccm_model::LinkId;
use ccm_testkit::certs::Ca;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::net::TcpListener;
use uuid::Uuid;

/// A link of this machine to which nobody answers: an examination is over at once.
pub async fn to_nowhere(app: &App, tenant: &Tenant) {
    let link = json!({"name": format!("link {}", tenant.link), "url": "ws://127.0.0.1:1"});
    relink(app, tenant, link).await;
}

async fn relink(app: &App, tenant: &Tenant, link: Value) {
    app.put(&format!("/v1/tenants/{}/links/{}", tenant.id, tenant.link), link)
        .await
        .ok();
}

/// A report of the tenant's that is kept; returns its id.
pub async fn kept(app: &App, tenant: &Tenant) -> String {
    let row = DoctorReportRow {
        id: app.deps.ids.next(),
        link: Some(LinkId(tenant.link.parse().unwrap())),
        outcome: "failed".into(),
        report: json!({
            "version": 1, "started_at": "2026-03-01T12:00:00Z", "duration_ms": 1234,
            "primary": "wss://aacc.example.com:8445/chat", "secondary": null, "outcome": "failed",
            "steps": [{"endpoint": "primary", "kind": "upgrade", "title": "WebSocket upgrade", "outcome": "failed",
                       "duration_ms": 7, "evidence": [{"name": "body begins", "value": "<script>alert(1)</script>"}],
                       "finding": {"cause": "wrong_path", "place": "our_settings", "explanation": "It was 404.",
                                   "remedy": "Use the right path."}}]}),
        made_by: "somebody".into(),
        made_at: app.deps.ids.clock().now(),
        shared_until: None,
    };
    app.deps
        .db
        .tenant(tenant.id)
        .put_doctor_report(&row)
        .await
        .unwrap();
    row.id.to_string()
}

fn reports(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}/doctor-reports{rest}", tenant.id)
}

/// Shares a report; returns where.
pub async fn shared(app: &App, tenant: &Tenant, report: &str) -> String {
    let share = reports(tenant, &format!("/{report}/share"));
    let made = app.post(&share, json!({"ttl_s": 3600})).await;
    assert_eq!(made.status, 201);
    made.ok()["path"].as_str().unwrap().to_owned()
}

async fn sim(certificate: ServerCertificate) -> Sim {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = Config {
        tls_setup: TlsSetup {
            certificate,
            ..TlsSetup::default()
        },
        ..Config::default()
    };
    Sim::start(config).await.unwrap()
}

/// How the simulator is reached, rightly.
fn link(sim: &Sim) -> Value {
    let port = sim.ewc_addr().port();
    json!({"name": "sim", "url": format!("wss://localhost:{port}"), "addresses": ["127.0.0.1"], "ca_pem": sim.ca_pem()})
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(answer.content_type, "application/x-ndjson");
    let lines = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn last(answer: &Answer) -> Value {
    let last = lines(answer).pop().unwrap();
    assert_eq!(last["event"], "report", "{last}");
    last
}

/// The first finding of a report that failed, with its step.
fn failure(report: &Value) -> (&str, &str) {
    let steps = report["steps"].as_array().unwrap();
    let failed = steps.iter().find(|step| step["outcome"] == "failed");
    let failed = failed.unwrap_or_else(|| panic!("nothing failed: {report}"));
    (
        failed["kind"].as_str().unwrap(),
        failed["finding"]["cause"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn a_saved_link_is_examined_step_by_step_and_its_report_kept() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let sim = sim(ServerCertificate::default()).await;
    relink(&app, &tenant, link(&sim)).await;
    let doctor = format!("/v1/tenants/{}/links/{}/doctor", tenant.id, tenant.link);
    let answer = app.post_nothing(&doctor).await;
    let all = lines(&answer);
    let (end, steps) = all.split_last().unwrap();
    let report = &end["report"];
    assert_eq!(
        (&end["event"], &report["outcome"]),
        (&json!("report"), &json!("passed")),
        "{report}"
    );
    let told: Vec<_> = steps
        .iter()
        .filter(|line| line["event"] == "step")
        .map(|line| &line["step"])
        .collect();
    assert_eq!(
        told,
        report["steps"].as_array().unwrap().iter().collect::<Vec<_>>()
    );
    assert_eq!(steps[0]["event"], "began");
    assert_eq!(
        (&steps[0]["kind"], &steps[0]["title"]),
        (&json!("settings"), &json!("Settings"))
    );
    let queues: Vec<_> = told.iter().filter(|step| step["kind"] == "queue").collect();
    assert_eq!(queues.len(), 1, "the skillset of the link");
    assert!(
        queues[0]["title"]
            .as_str()
            .unwrap()
            .contains("WC_Default_Skillset")
    );

    let id = end["report_id"].as_str().unwrap();
    let kept = app.get(&reports(&tenant, &format!("/{id}"))).await.ok();
    assert_eq!((&kept["report"], &kept["link_id"]), (report, &json!(tenant.link)));
    assert_eq!(kept["made_by"], "somebody");
    let again = app
        .post(
            &doctor,
            json!({"test_chat": {"skillset": "WC_Default_Skillset", "wait_s": 0}}),
        )
        .await;
    let chat = &last(&again)["report"];
    assert!(
        chat["steps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|step| step["kind"] == "chat_resume" && step["outcome"] == "passed"),
        "{chat}"
    );

    let page = app.get(&reports(&tenant, "?limit=1")).await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["address"], report["primary"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = app
        .get(&reports(&tenant, &format!("?limit=1&cursor={cursor}")))
        .await
        .ok();
    assert_eq!(rest["items"][0]["id"], id);
    assert_eq!(rest.get("next_cursor"), None);
    let of_link = app
        .get(&reports(&tenant, &format!("?link_id={}", tenant.link)))
        .await
        .ok();
    assert_eq!(of_link["items"].as_array().unwrap().len(), 2);
    let of_another = app
        .get(&reports(&tenant, &format!("?link_id={}", Uuid::nil())))
        .await
        .ok();
    assert_eq!(of_another["items"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_is_named_before_anything_is_saved() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let well = sim(ServerCertificate::default()).await;
    let expired = sim(ServerCertificate::Expired).await;
    let other_ca = Ca::new("another").unwrap().pem().to_owned();
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let of = |sim: &Sim, change: fn(&mut Value, &str), with: &str| {
        let mut link = link(sim);
        change(&mut link, with);
        link
    };
    for (link, expected) in [
        (
            of(&well, |l, ca| l["ca_pem"] = json!(ca), &other_ca),
            ("tls", "private_ca_missing"),
        ),
        (of(&expired, |_, _| {}, ""), ("tls", "certificate_expired")),
        (
            of(
                &well,
                |l, _| l["url"] = json!(format!("{}/wrong/chat", l["url"].as_str().unwrap())),
                "",
            ),
            ("upgrade", "wrong_path"),
        ),
        (
            of(
                &well,
                |l, name| l["server_name"] = json!(name),
                "elsewhere.example.com",
            ),
            ("tls", "wrong_name"),
        ),
        (
            json!({"name": "closed", "url": format!("ws://{closed}")}),
            ("tcp", "port_closed"),
        ),
        (
            json!({"name": "private", "url": "ws://10.1.2.3:8081"}),
            ("dns", "address_not_allowed"),
        ),
        (
            json!({"name": "private", "url": "wss://aacc.example.com", "addresses": ["169.254.169.254", "::ffff:10.0.0.1"]}),
            ("dns", "address_not_allowed"),
        ),
        (
            json!({"name": "proxied", "url": "wss://10.1.2.3", "proxy_url": "http://127.0.0.1:1"}),
            ("dns", "address_not_allowed"),
        ),
    ] {
        let answer = app
            .post(
                &format!("/v1/tenants/{}/doctor", tenant.id),
                json!({"link": link}),
            )
            .await;
        let end = last(&answer);
        assert_eq!(failure(&end["report"]), expected, "{link}");
        let kept = app
            .get(&reports(
                &tenant,
                &format!("/{}", end["report_id"].as_str().unwrap()),
            ))
            .await
            .ok();
        assert_eq!(kept["link_id"], Value::Null);
    }
    let links = app.get(&format!("/v1/tenants/{}/links", tenant.id)).await.ok();
    assert_eq!(links["items"].as_array().unwrap().len(), 1, "nothing was saved");

    // Before there is a tenant.
    let answer = app
        .post(
            "/v1/doctor",
            json!({"link": {"name": "closed", "url": format!("ws://{closed}")}}),
        )
        .await;
    let end = last(&answer);
    assert_eq!(
        (failure(&end["report"]), &end["report_id"]),
        (("tcp", "port_closed"), &Value::Null)
    );
}

#[tokio::test]
async fn no_secret_is_in_an_answer() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let ours = Ca::new("Test CA").unwrap().issue_client("ccm").unwrap();
    let link = json!({"name": "x", "url": "wss://127.0.0.1:1", "proxy_url": "http://proxyuser:PROXY-CANARY@127.0.0.1:1",
                      "client_certificate_pem": ours.cert_pem, "client_key_pem": ours.key_pem});
    let answer = app
        .post(
            &format!("/v1/tenants/{}/doctor", tenant.id),
            json!({"link": link}),
        )
        .await;
    assert_eq!(failure(&last(&answer)["report"]), ("tcp", "proxy_unreachable"));
    let page = app.get(&reports(&tenant, "")).await.ok();
    let id = page["items"][0]["id"].as_str().unwrap();
    app.get(&reports(&tenant, &format!("/{id}"))).await.ok();
    let middle = ours.key_pem.lines().nth(1).unwrap();
    for secret in ["PROXY-CANARY", "proxyuser", middle] {
        assert!(!app.ever_said(secret), "{secret}");
    }
}

#[tokio::test]
async fn requests_that_cannot_be_are_refused() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let unsaved = format!("/v1/tenants/{}/doctor", tenant.id);
    let good = json!({"name": "x", "url": "ws://127.0.0.1:1"});
    for (body, status, field) in [
        (json!({"link": {"name": "x", "url": "http://x"}}), 422, "link.url"),
        (json!({"link": {"name": "x"}}), 400, "link.url"),
        (
            json!({"link": good, "examination": {"watch_idle_s": 0}}),
            422,
            "examination.watch_idle_s",
        ),
        (
            json!({"link": good, "examination": {"warn_days": 366}}),
            422,
            "examination.warn_days",
        ),
        (
            json!({"link": good, "examination": {"skillsets": [""]}}),
            422,
            "examination.skillsets",
        ),
        (json!({"link": good, "insecure": true}), 400, "insecure"),
    ] {
        for path in [unsaved.as_str(), "/v1/doctor"] {
            assert_eq!(
                app.post(path, body.clone()).await.problem(status),
                field,
                "{body}"
            );
        }
    }
    let saved = format!("/v1/tenants/{}/links/{}/doctor", tenant.id, tenant.link);
    assert_eq!(
        app.post(&saved, json!({"test_chat": {"skillset": "x", "wait_s": 121}}))
            .await
            .problem(422),
        "test_chat.wait_s"
    );
    let stranger = format!("/v1/tenants/{}/links/{}/doctor", tenant.id, Uuid::nil());
    app.post_nothing(&stranger).await.problem_without_field(404);
}

#[tokio::test]
async fn events_are_sent_to_who_asks_for_them() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    to_nowhere(&app, &tenant).await;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/v1/tenants/{}/links/{}/doctor", tenant.id, tenant.link))
        .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
        .header(header::ACCEPT, "text/event-stream")
        .body(Body::empty());
    let answer = app.raw(request.unwrap()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.content_type.as_str()),
        (200, "text/event-stream")
    );
    let events: Vec<_> = answer
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!((events[0], events.last()), ("began", Some(&"report")));
    let data = answer
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .next_back();
    let report: Value = serde_json::from_str(data.unwrap()).unwrap();
    assert_eq!(failure(&report["report"]), ("tcp", "port_closed"));
}

/// Two at a time in this test's API; one of a link.
#[tokio::test]
async fn examinations_have_their_places() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    // Takes connections and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", silent.local_addr().unwrap());
    relink(&app, &tenant, json!({"name": "silent", "url": url})).await;
    let saved = format!("/v1/tenants/{}/links/{}/doctor", tenant.id, tenant.link);
    let unsaved = format!("/v1/tenants/{}/doctor", tenant.id);
    let body = json!({"link": {"name": "x", "url": url}});
    let busy = async {
        let first = silent.accept().await.unwrap();
        let refused = app.post_nothing(&saved).await;
        refused.problem_without_field(429);
        assert!(
            app.ever_said("\"retry-after\": \"10\""),
            "it says when to ask again"
        );
        assert!(refused.json["remedy"].is_string());
        let third = async {
            let second = silent.accept().await.unwrap();
            app.post(&unsaved, body.clone()).await.problem_without_field(429);
            drop((first, second));
        };
        tokio::join!(app.post(&unsaved, body.clone()), third).0
    };
    let (first, second) = tokio::join!(app.post_nothing(&saved), busy);
    for answer in [first, second] {
        assert_eq!(last(&answer)["report"]["outcome"], "failed");
    }
    to_nowhere(&app, &tenant).await;
    last(&app.post_nothing(&saved).await);
}

#[tokio::test]
async fn a_report_is_shared_as_a_page_or_as_json_and_taken_back() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let report = kept(&app, &tenant).await;
    let path = shared(&app, &tenant, &report).await;
    let open = async |path: &str, accept: &'static str| {
        let request = Request::builder().uri(path).header(header::ACCEPT, accept);
        app.raw(request.body(Body::empty()).unwrap()).await
    };
    let page = open(&path, "text/html,*/*;q=0.8").await;
    assert_eq!(
        (page.status.as_u16(), page.cache_control.as_str()),
        (200, "no-store")
    );
    assert!(page.content_type.starts_with("text/html"));
    assert!(page.text.contains("It was 404.") && page.text.contains("Use the right path."));
    assert!(page.text.contains("&lt;script&gt;") && !page.text.contains("<script"));
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "nothing is fetched"
    );
    for header in ["default-src 'none'", "nosniff", "no-referrer", "noindex", "DENY"] {
        assert!(app.ever_said(header), "{header}");
    }
    let json = open(&path, "application/json").await.ok();
    assert_eq!(json["steps"][0]["finding"]["cause"], "wrong_path");
    let summary = &app.get(&reports(&tenant, "")).await.ok()["items"][0];
    assert!(summary["shared_until"].is_string());

    let guess = format!("/doctor/reports/{}", "A".repeat(43));
    for (path, accept) in [
        (guess.as_str(), "application/json"),
        ("/doctor/reports/x", "application/json"),
    ] {
        open(path, accept).await.problem_without_field(404);
    }
    let nowhere = open(&guess, "text/html").await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.content_type.starts_with("text/html") && nowhere.text.contains("leads nowhere"));

    let share = reports(&tenant, &format!("/{report}/share"));
    for ttl_s in [0, 59, 2_592_001] {
        assert_eq!(
            app.post(&share, json!({"ttl_s": ttl_s})).await.problem(422),
            "ttl_s"
        );
    }
    let crossed = reports(&other, &format!("/{report}/share"));
    app.post(&crossed, json!({"ttl_s": 60}))
        .await
        .problem_without_field(404);
    app.delete(&crossed).await.problem_without_field(404);
    app.get(&reports(&other, &format!("/{report}")))
        .await
        .problem_without_field(404);
    let second = shared(&app, &tenant, &report).await;
    open(&path, "application/json").await.problem_without_field(404);
    open(&second, "application/json").await.ok();
    assert_eq!(app.delete(&share).await.status, 204);
    app.delete(&share).await.problem_without_field(404);
    open(&second, "application/json").await.problem_without_field(404);
}

/// The document's shapes are written by hand: they have the members that a report has.
#[tokio::test]
async fn reports_are_as_documented() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    to_nowhere(&app, &tenant).await;
    let token = app.token(Role::TenantAdmin, Some(tenant.id));
    let doctor = format!("/v1/tenants/{}/links/{}/doctor", tenant.id, tenant.link);
    let answer = app.send(Method::POST, &doctor, Some(&token), None).await;
    let document = serde_json::to_value(ccm_admin::openapi()).unwrap();
    let fits = |value: &Value, schema: &str| {
        let schema = &document["components"]["schemas"][schema];
        let known: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().collect();
        let found: BTreeSet<_> = value.as_object().unwrap().keys().collect();
        assert!(found.is_subset(&known), "{found:?} are not all in {known:?}");
        for required in schema["required"].as_array().unwrap() {
            assert!(
                value.get(required.as_str().unwrap()).is_some(),
                "{required} in {value}"
            );
        }
    };
    for line in lines(&answer) {
        fits(&line, "DoctorEvent");
    }
    let report = &last(&answer)["report"];
    fits(report, "DoctorReportContent");
    for step in report["steps"].as_array().unwrap() {
        fits(step, "DoctorStep");
        if let Some(finding) = step.get("finding") {
            fits(finding, "DoctorFinding");
        }
        for fact in step["evidence"].as_array().unwrap() {
            fits(fact, "DoctorFact");
        }
    }
}
