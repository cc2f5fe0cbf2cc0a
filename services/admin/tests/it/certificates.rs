//! Whom links trust, what they show, and keys that are made here.

use crate::app::{App, Tenant};
use axum::http::Method;
use ccm_testkit::certs::Ca;
use serde_json::{Value, json};

fn of(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}/links/{}/{rest}", tenant.id, tenant.link)
}

/// Makes the tenant's link trust two authorities; returns the fingerprint of one.
pub async fn trusted(app: &App, tenant: &Tenant) -> String {
    let pem = format!("{}{}", new_ca().pem(), new_ca().pem());
    let link =
        json!({"name": format!("link {}", tenant.link), "url": "wss://aacc.example.com:8445", "ca_pem": pem});
    app.put(&format!("/v1/tenants/{}/links/{}", tenant.id, tenant.link), link)
        .await
        .ok();
    let trusted = app.get(&of(tenant, "trusted-cas")).await.ok();
    trusted["items"][0]["sha256"].as_str().unwrap().to_owned()
}

/// A key of the tenant's link waits for its certificate.
pub async fn key_waits(app: &App, tenant: &Tenant) {
    let made = app
        .post(&of(tenant, "client-key"), json!({"common_name": "ccm"}))
        .await;
    assert!([201, 409].contains(&made.status.as_u16()), "{}", made.json);
}

pub fn new_ca() -> Ca {
    Ca::new("Test CA").unwrap()
}

/// A client certificate of an authority of its own, with its key.
pub fn client_certificate() -> Value {
    let ours = new_ca().issue_client("ccm").unwrap();
    json!({"client_certificate_pem": ours.cert_pem, "client_key_pem": ours.key_pem})
}

fn codes(certificate: &Value) -> Vec<&str> {
    let warnings = certificate["warnings"].as_array().unwrap();
    warnings.iter().map(|w| w["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_authority_is_replaced_without_a_gap() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let all = of(&tenant, "certificates");
    let before = app.get(&all).await.ok();
    assert_eq!(
        before,
        json!({"trusts_public_cas": true, "trusted_cas": [], "client_certificate": [], "client_key": null,
               "server_certificate": null})
    );
    let (old, new) = (Ca::new("Old CA").unwrap(), Ca::new("New CA").unwrap());
    let cas = of(&tenant, "trusted-cas");
    let added = app.post(&cas, json!({"ca_pem": old.pem()})).await;
    assert_eq!(added.status, 201);
    let added = added.ok();
    let first = &added["items"][0];
    assert_eq!(
        (&first["subject"], &first["is_ca"]),
        (&json!("CN=Old CA"), &json!(true))
    );
    assert_eq!((&first["key"], codes(first)), (&json!("EC 256"), vec![]));
    let sha256 = first["sha256"].as_str().unwrap().to_owned();

    let last = format!("{cas}/{sha256}");
    assert_eq!(app.delete(&last).await.problem(409), "sha256");
    // Both in one text; one of them is trusted already.
    let both = format!("subject=Old\n{}\nsubject=New\n{}", old.pem(), new.pem());
    let two = app.post(&cas, json!({"ca_pem": both})).await.ok();
    assert_eq!(two["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        app.post(&cas, json!({"ca_pem": both})).await.problem(409),
        "ca_pem"
    );
    let links = app.get(&format!("/v1/tenants/{}/links", tenant.id)).await.ok();
    let stored = links["items"][0]["ca_pem"].as_str().unwrap();
    assert!(stored.contains(old.pem().trim()) && stored.contains(new.pem().trim()));

    // With colons and capital letters, as openssl shows it.
    let shown: Vec<String> = sha256
        .as_bytes()
        .chunks(2)
        .map(|two| String::from_utf8_lossy(two).to_uppercase())
        .collect();
    assert_eq!(
        app.delete(&format!("{cas}/{}", shown.join(":"))).await.status,
        204
    );
    app.delete(&last).await.problem_without_field(404);
    let left = app.get(&cas).await.ok();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["subject"], "CN=New CA");
    assert_eq!(app.get(&all).await.ok()["trusts_public_cas"], false);
}

#[tokio::test]
async fn what_is_no_authority_is_refused_or_warned_of() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let cas = of(&tenant, "trusted-cas");
    let leaf = new_ca()
        .issue_valid(&["aacc"], ((2020, 1, 1), (2020, 2, 1)))
        .unwrap();
    for (pem, status) in [("", 422), ("x", 422), (leaf.key_pem.as_str(), 422)] {
        assert_eq!(
            app.post(&cas, json!({"ca_pem": pem})).await.problem(status),
            "ca_pem"
        );
    }
    assert_eq!(app.post(&cas, json!({"pem": "x"})).await.problem(400), "pem");
    let added = app.post(&cas, json!({"ca_pem": leaf.cert_pem})).await.ok();
    assert_eq!(codes(&added["items"][0]), ["expired", "not_a_ca"]);
    assert!(added["items"][0]["expires_in_days"].as_i64().unwrap() < 0);
    let ten: String = (0..10).map(|_| new_ca().pem().to_owned()).collect();
    let refused = app.post(&cas, json!({"ca_pem": ten})).await;
    assert_eq!(refused.problem(422), "ca_pem");
    assert_eq!(app.get(&cas).await.ok(), added, "nothing was changed");

    let plain = json!({"name": "plain", "url": "ws://aacc.example.com:8081"});
    app.put(&format!("/v1/tenants/{}/links/{}", tenant.id, tenant.link), plain)
        .await
        .ok();
    assert_eq!(
        app.post(&cas, json!({"ca_pem": new_ca().pem()}))
            .await
            .problem(422),
        "ca_pem"
    );
    let certificate = of(&tenant, "client-certificate");
    assert_eq!(
        app.put(&certificate, client_certificate()).await.problem(422),
        "client_certificate_pem"
    );
}

/// Signs a request as the tenant's authority does.
fn sign(csr_pem: &str) -> String {
    let authority = Ca::new("Customer CA").unwrap();
    authority
        .sign_request(csr_pem, &["ccm.acme.example.com"])
        .unwrap()
}

#[tokio::test]
async fn a_key_that_is_made_here_gets_its_certificate() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (key, certificate) = (of(&tenant, "client-key"), of(&tenant, "client-certificate"));
    app.get(&key).await.problem_without_field(404);
    app.delete(&key).await.problem_without_field(404);
    app.delete(&certificate).await.problem_without_field(404);
    let asked = json!({"common_name": "ccm.acme.example.com", "organization": "Acme Bank", "country": "IE",
                       "names": ["ccm.acme.example.com"]});
    let made = app.post(&key, asked.clone()).await;
    assert_eq!(made.status, 201);
    let csr = made.ok()["csr_pem"].as_str().unwrap().to_owned();
    assert!(csr.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    app.post(&key, asked.clone()).await.problem_without_field(409);
    assert_eq!(app.get(&key).await.ok()["csr_pem"], csr.as_str());
    assert_eq!(
        app.get(&of(&tenant, "certificates")).await.ok()["client_key"]["csr_pem"],
        csr.as_str()
    );

    // Of another key; then the right one.
    let stranger = new_ca().issue_client("ccm").unwrap();
    let wrong = json!({"client_certificate_pem": stranger.cert_pem});
    assert_eq!(
        app.put(&certificate, wrong.clone()).await.problem(422),
        "client_certificate_pem"
    );
    let signed = sign(&csr);
    let shown = app
        .put(&certificate, json!({"client_certificate_pem": signed}))
        .await
        .ok();
    let ours = &shown["items"][0];
    assert_eq!(ours["issuer"], "CN=Customer CA");
    assert_eq!(ours["names"], json!(["ccm.acme.example.com"]));
    assert!(
        ours["subject"].as_str().unwrap().contains("O=Acme Bank"),
        "{ours}"
    );
    assert_eq!(codes(ours), [""; 0]);
    app.get(&key).await.problem_without_field(404);

    // The key in use may get a newer certificate while the next key waits.
    key_waits(&app, &tenant).await;
    app.put(&certificate, json!({"client_certificate_pem": sign(&csr)}))
        .await
        .ok();
    app.get(&key).await.ok();
    let next = app.get(&key).await.ok()["csr_pem"].as_str().unwrap().to_owned();
    app.put(&certificate, json!({"client_certificate_pem": sign(&next)}))
        .await
        .ok();
    assert_eq!(
        app.put(&certificate, json!({"client_certificate_pem": sign(&csr)}))
            .await
            .problem(422),
        "client_certificate_pem",
        "the key before is gone"
    );
    let links = app.get(&format!("/v1/tenants/{}/links", tenant.id)).await.ok();
    assert_eq!(links["items"][0]["has_client_key"], true);
    assert_eq!(app.delete(&certificate).await.status, 204);
    let links = app.get(&format!("/v1/tenants/{}/links", tenant.id)).await.ok();
    assert_eq!(links["items"][0]["has_client_key"], false);
    assert_eq!(
        app.put(&certificate, wrong).await.problem(422),
        "client_key_pem",
        "there is no key at all"
    );
    assert!(!app.ever_said("PRIVATE KEY"), "no answer shows a key");
}

#[tokio::test]
async fn a_certificate_comes_with_its_key_and_in_order() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let certificate = of(&tenant, "client-certificate");
    let root = Ca::new("Root").unwrap();
    let issuing = root.subordinate("Issuing").unwrap();
    let ours = issuing.issue_client("ccm").unwrap();
    let body =
        |chain: &[&str]| json!({"client_certificate_pem": chain.concat(), "client_key_pem": ours.key_pem});
    let shown = app
        .put(&certificate, body(&[&ours.cert_pem, issuing.pem()]))
        .await
        .ok();
    assert_eq!(shown["items"].as_array().unwrap().len(), 2);
    let refused = app
        .put(&certificate, body(&[&ours.cert_pem, root.pem(), issuing.pem()]))
        .await;
    assert_eq!(refused.problem(422), "client_certificate_pem");
    let other = new_ca().issue_client("ccm").unwrap();
    let mismatch = json!({"client_certificate_pem": ours.cert_pem, "client_key_pem": other.key_pem});
    assert_eq!(
        app.put(&certificate, mismatch).await.problem(422),
        "client_key_pem"
    );
    let ended = root.issue_valid(&["ccm"], ((2020, 1, 1), (2020, 2, 1))).unwrap();
    let ended = json!({"client_certificate_pem": ended.cert_pem, "client_key_pem": ended.key_pem});
    assert_eq!(
        app.put(&certificate, ended).await.problem(422),
        "client_certificate_pem"
    );
    let server = root.issue(&["ccm"]).unwrap();
    let server = json!({"client_certificate_pem": server.cert_pem, "client_key_pem": server.key_pem});
    let shown = app.put(&certificate, server).await.ok();
    assert_eq!(codes(&shown["items"][0]), ["not_for_clients"]);
}

#[tokio::test]
async fn the_server_s_certificate_is_the_one_that_was_seen() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let seen = json!({"subject": "CN=aacc", "issuer": "CN=Root", "serial": "01", "names": ["aacc"],
                      "not_before": "2020-01-01T00:00:00Z", "not_after": "2020-06-01T00:00:00Z", "sha256": "ab",
                      "key": "RSA 2048", "is_ca": false, "for_clients": false});
    app.database
        .superuser_sql(&format!(
            "insert into link_state (link_id, tenant_id, state, since, endpoint, updated_at, certificate)
             values ('{}', '{}', 'up', now(), 'primary', now(), '{seen}')",
            tenant.link, tenant.id
        ))
        .unwrap();
    let all = app.get(&of(&tenant, "certificates")).await.ok();
    let server = &all["server_certificate"];
    assert_eq!(
        (&server["subject"], codes(server)),
        (&json!("CN=aacc"), vec!["expired"])
    );
}

/// Another tenant's link is as unknown as an invented one.
#[tokio::test]
async fn other_tenants_links_are_not_found() {
    let app = App::start().await;
    let (ours, theirs) = (app.tenant("ours").await, app.tenant("theirs").await);
    key_waits(&app, &theirs).await;
    let sha256 = trusted(&app, &theirs).await;
    let crossed = Tenant {
        link: theirs.link.clone(),
        ..ours
    };
    for (method, path, body) in [
        (Method::GET, "certificates", None),
        (Method::GET, "trusted-cas", None),
        (
            Method::POST,
            "trusted-cas",
            Some(json!({"ca_pem": new_ca().pem()})),
        ),
        (Method::GET, "client-key", None),
        (Method::POST, "client-key", Some(json!({"common_name": "x"}))),
        (Method::DELETE, "client-key", None),
        (Method::PUT, "client-certificate", Some(client_certificate())),
        (Method::DELETE, "client-certificate", None),
        (Method::DELETE, &format!("trusted-cas/{sha256}"), None),
    ] {
        let token = app.engineer();
        let answer = app
            .send(method, &of(&crossed, path), Some(&token), body.as_ref())
            .await;
        answer.problem_without_field(404);
    }
    assert_eq!(
        app.get(&of(&theirs, "trusted-cas")).await.ok()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}
