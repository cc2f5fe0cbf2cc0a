//! Who gets a page, and what it begins with.

use crate::rig::{BEGIN, MOBILE, Rig, Tenant, ours};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, header},
};
use ccm_auth::AuthKey;
use ccm_db::{AuthKeyChange, DbError, NewSkillset, StateChange};
use ccm_model::{KeyUse, ProviderKind, ScreenpopSettings};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

pub async fn settings(rig: &Rig, tenant: &Tenant, document: Value) {
    let settings: ScreenpopSettings = serde_json::from_value(document).unwrap();
    settings.check().unwrap();
    let db = rig.deps.db.tenant(tenant.id);
    db.put_settings::<ScreenpopSettings>(&settings, None)
        .await
        .unwrap();
}

fn from(peer: &str, path: &str) -> Request<Body> {
    let peer: SocketAddr = format!("{peer}:4711").parse().unwrap();
    Request::get(path)
        .extension(ConnectInfo(peer))
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn the_key_is_exchanged_for_a_page_at_both_addresses() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let digits = ours(1).trim_start_matches('+').to_owned();
    for path in [
        format!("/?auth={}&dialed={digits}&dest={MOBILE}", tenant.key),
        format!("/scrpop/minpop.html?auth={}&dest=353861234567", tenant.key),
        format!("/scrpop/minpop.html?dest=%2B353861234567&auth={}", tenant.key),
    ] {
        let opened = rig.browse(&path).await;
        assert_eq!(opened.status, 303);
        let location = opened.headers[header::LOCATION].to_str().unwrap();
        let token = location.strip_prefix("/pop/").unwrap();
        assert_eq!(token.len(), 43, "256 bits");
        for (name, value) in [
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            assert_eq!(opened.headers[name], value);
        }
        assert!(!opened.headers.contains_key(header::SET_COOKIE));
        let page = rig.browse(location).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(page.value("number"), MOBILE);
        assert_eq!(page.verdict(), "SMS AVAILABLE");
        assert_eq!(
            page.value("sender"),
            ours(1),
            "the tenant's own number is the sender"
        );
        assert!(!page.text.contains(&tenant.key), "the key is gone");
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(page.headers["x-ua-compatible"], "IE=edge");
        assert!(!page.headers.contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn a_call_without_a_number_gives_an_empty_field_and_says_why() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let ours = ours(1).trim_start_matches('+').to_owned();
    for (query, hint) in [
        (format!("dialed={ours}"), "brought no number"),
        ("dest=".to_owned(), "brought no number"),
        ("dest=[0]".to_owned(), "has not put the caller"),
        ("dest=%5B0%5D".to_owned(), "has not put the caller"),
        ("dest=anonymous".to_owned(), "withholds"),
        ("dest=7000".to_owned(), "extension"),
        ("dest=0861234567".to_owned(), "cannot be read"),
        (format!("dest={MOBILE}&dialed=4711"), "none of yours"),
    ] {
        let page = rig.browse(&rig.pop(&tenant, &query).await).await;
        assert!(page.text.contains(hint), "{query}: {}", page.text);
        if !query.contains(MOBILE) {
            assert_eq!(page.value("number"), "", "{query}");
            assert_eq!(page.verdict(), "", "{query}");
        }
    }
    settings(
        &rig,
        &tenant,
        json!({"region": "IE", "parameters": {"caller": "clid"}}),
    )
    .await;
    let page = rig.browse(&rig.pop(&tenant, "CLID=0861234567").await).await;
    assert_eq!(
        page.value("number"),
        MOBILE,
        "national, by the tenant's region and parameter"
    );
}

#[tokio::test]
async fn the_sender_is_the_skillsets_else_the_one_that_was_dialed() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let account = rig.add_account(&tenant, "second", ProviderKind::Http).await;
    rig.add_number(&tenant, 2, account).await;
    settings(&rig, &tenant, json!({"senders": {"Sales": ours(2)}})).await;
    let dialed = ours(1).trim_start_matches('+').to_owned();
    for (query, sender) in [
        (format!("dialed={dialed}&skillset=Sales"), ours(2)),
        (format!("dialed={dialed}&skillset=Other"), ours(1)),
        (format!("dialed={dialed}"), ours(1)),
        (String::new(), ours(1)),
    ] {
        let page = rig.browse(&rig.pop(&tenant, &query).await).await;
        let chosen = format!("<option value=\"{sender}\" selected>");
        assert!(page.text.contains(&chosen), "{query}: {}", page.text);
    }
}

#[tokio::test]
async fn who_has_no_good_key_gets_a_page_that_says_so() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let old = AuthKey::parse("expires-in-1-hr!").unwrap();
    rig.add_key(tenant.id, &old, Some(BEGIN + Duration::from_secs(3600)))
        .await;
    rig.pass(Duration::from_secs(3600));
    for query in [
        "",
        "auth=",
        "auth=short",
        "auth=0123456789abcdef",
        "auth=expires-in-1-hr!",
    ] {
        let refused = rig.browse(&format!("/?{query}&dest={MOBILE}")).await;
        assert_eq!(refused.status, 401, "{query}");
        assert!(refused.text.contains("is not in use"), "{}", refused.text);
        assert!(!refused.text.contains("861234567"));
        assert_eq!(refused.headers["x-frame-options"], "DENY");
    }
    let german = Request::get("/?auth=short")
        .header(header::ACCEPT_LANGUAGE, "it, de-AT;q=0.9")
        .body(Body::empty());
    assert!(
        rig.html(german.unwrap())
            .await
            .text
            .contains("Der Schlüssel in der Adresse")
    );
    // Wrong keys from one place are bounded; others, and good keys, are not held up.
    let wrong = "/?auth=0123456789abcdef";
    let mut limited = None;
    for _ in 0..25 {
        let refused = rig.html(from("198.51.100.1", wrong)).await;
        if refused.status == 429 {
            limited = Some(refused);
            break;
        }
    }
    let limited = limited.expect("a bound");
    assert!(limited.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(rig.html(from("198.51.100.2", wrong)).await.status, 401);
    let good = format!("/?auth={}", tenant.key);
    assert_eq!(rig.html(from("198.51.100.1", &good)).await.status, 303);
    let reason = StateChange {
        active: false,
        reason: "unpaid",
        by: "mary",
        at: BEGIN,
    };
    rig.deps
        .db
        .operator()
        .set_tenant_state(tenant.id, reason)
        .await
        .unwrap();
    let suspended = rig.browse(&good).await;
    assert_eq!(suspended.status, 403);
    assert!(suspended.text.contains("switched off"));
}

#[tokio::test]
async fn a_page_ends_with_its_time_its_key_and_its_network() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    settings(&rig, &tenant, json!({"session_s": 900})).await;
    let path = rig.pop(&tenant, "").await;
    assert_eq!(rig.browse(&path).await.status, 200);
    rig.pass(Duration::from_secs(901));
    let ended = rig.browse(&path).await;
    assert_eq!(ended.status, 410);
    assert!(ended.text.contains("Open it anew from Agent Desktop"));
    assert_eq!(rig.submit(&path, &[("do", "send")]).await.status, 410);
    assert_eq!(rig.browse("/pop/nothing").await.status, 410);

    let db = rig.deps.db.tenant(tenant.id);
    let key = db.auth_keys().await.unwrap().remove(0);
    let path = rig.pop(&tenant, "").await;
    let bound = AuthKeyChange {
        name: key.name.clone(),
        expires_at: None,
        networks: vec!["203.0.113.0/24".to_owned()],
        uses: KeyUse::ALL.to_vec(),
    };
    db.change_auth_key(key.id, |_| Ok::<_, DbError>(bound))
        .await
        .unwrap();
    assert_eq!(rig.html(from("203.0.113.7", &path)).await.status, 200);
    let elsewhere = rig.html(from("198.51.100.1", &path)).await;
    assert_eq!(
        elsewhere.status, 403,
        "the page's address is of no use elsewhere either"
    );
    let opened = format!("/?auth={}", tenant.key);
    assert_eq!(rig.html(from("198.51.100.1", &opened)).await.status, 403);
    db.revoke_auth_key(key.id, BEGIN, |_| Ok::<_, DbError>(()))
        .await
        .unwrap();
    assert_eq!(rig.html(from("203.0.113.7", &path)).await.status, 410);
}

#[tokio::test]
async fn only_origins_that_the_tenant_names_may_frame_the_page() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, "").await;
    let csp = |page: &crate::rig::Html| {
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{policy}"
        );
        policy.split_once("frame-ancestors ").unwrap().1.to_owned()
    };
    let page = rig.browse(&path).await;
    assert_eq!(
        (csp(&page).as_str(), &page.headers["x-frame-options"]),
        ("'none'", &"DENY".parse().unwrap())
    );
    let history = rig.browse(&format!("{path}/history?page=true")).await;
    assert_eq!(csp(&history), "'self'", "its own history, where no script runs");
    settings(
        &rig,
        &tenant,
        json!({"frame_ancestors": ["https://crm.example.com", "https://b.example:8443"]}),
    )
    .await;
    let page = rig.browse(&path).await;
    assert_eq!(csp(&page), "https://crm.example.com https://b.example:8443");
    assert!(!page.headers.contains_key("x-frame-options"));
    let history = rig.browse(&format!("{path}/history?page=true")).await;
    assert_eq!(
        csp(&history),
        "'self' https://crm.example.com https://b.example:8443"
    );
}

#[tokio::test]
async fn two_tenants_pages_do_not_meet() {
    let rig = Rig::new().await;
    let (one, other) = (
        rig.tenant(1, ProviderKind::Http).await,
        rig.tenant(2, ProviderKind::Http).await,
    );
    let mine = rig.pop(&one, &format!("dest={MOBILE}")).await;
    let page = rig.browse(&mine).await;
    let sent = [
        ("m", page.value("m")),
        ("do", "send"),
        ("body", "hello"),
        ("sender", &ours(2)),
        ("number", MOBILE),
    ];
    rig.submit(&mine, &sent).await;
    let history = |tenant: &Tenant| {
        let (db, id) = (rig.deps.db.clone(), tenant.id);
        async move { db.tenant(id).history(&MOBILE.parse().unwrap(), 10).await.unwrap() }
    };
    let texts = history(&one).await;
    assert_eq!(
        texts[0].our_address.as_str(),
        ours(1),
        "another tenant's number is no sender"
    );
    assert!(history(&other).await.is_empty());
}

#[tokio::test]
async fn a_tenant_without_a_number_is_told_so() {
    let rig = Rig::new().await;
    let tenant = rig.bare_tenant("bare").await;
    let page = rig.browse(&format!("/?auth={}", tenant.key)).await;
    assert_eq!(page.status, 409);
    assert!(page.text.contains("no number that texts could leave from"));
}

#[tokio::test]
async fn the_page_speaks_the_tenants_language() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let db = rig.deps.db.tenant(tenant.id);
    let skillset = NewSkillset {
        id: rig.deps.ids.next(),
        link: db.links().await.unwrap()[0].id,
        name: "Café <b>",
    };
    db.create_skillset(skillset).await.unwrap();
    let path = rig.pop(&tenant, &format!("dest={MOBILE}")).await;
    for (language, says) in [
        ("de", "SMS senden"),
        ("fr", "Envoyer le SMS"),
        ("es", "Enviar SMS"),
        ("en", "Send SMS"),
    ] {
        settings(&rig, &tenant, json!({"language": language})).await;
        let page = rig.browse(&path).await;
        assert!(page.text.contains(&format!("<html lang=\"{language}\">")));
        assert!(page.text.contains(says), "{language}");
    }
}

#[tokio::test]
async fn who_asks_for_headers_alone_opens_nothing() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let paths = [
        format!("/?auth={}", tenant.key),
        format!("/scrpop/minpop.html?auth={}", tenant.key),
        format!(
            "/v1/number-check?number=%2B353861234567&lookup=true&auth={}",
            tenant.key
        ),
    ];
    for path in paths {
        let head = Request::head(&path).body(Body::empty()).unwrap();
        let answer = rig.html(head).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.headers[header::ALLOW], "GET");
    }
    assert_eq!(rig.sql("SELECT count(*) FROM screenpop_session").trim(), "0");
    let path = rig.pop(&tenant, "").await;
    let head = Request::head(&path).body(Body::empty()).unwrap();
    assert_eq!(rig.html(head).await.status, 200, "what only reads is harmless");
}

#[tokio::test]
async fn a_key_opens_what_it_is_for() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let db = rig.deps.db.tenant(tenant.id);
    let key = db.auth_keys().await.unwrap().remove(0);
    for (uses, page, check) in [
        (KeyUse::Screenpop, 303, 403),
        (KeyUse::NumberCheck, 403, 200),
        (KeyUse::Deflection, 403, 403),
    ] {
        let change = AuthKeyChange {
            name: key.name.clone(),
            expires_at: None,
            networks: Vec::new(),
            uses: vec![uses],
        };
        db.change_auth_key(key.id, |_| Ok::<_, DbError>(change))
            .await
            .unwrap();
        let opened = rig.browse(&format!("/?auth={}", tenant.key)).await;
        assert_eq!(opened.status, page, "{uses}");
        assert!(page == 303 || opened.text.contains("is not for this page"));
        let checked = rig.check(&tenant, MOBILE, "").await;
        assert_eq!(checked.status, check, "{uses}");
        if check == 403 {
            checked.problem(403);
            let remedy = checked.json["remedy"].as_str().unwrap();
            assert!(
                remedy.contains("number-check") && remedy.contains("uses"),
                "{remedy}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_keys_are_bounded_at_the_check_of_numbers_too() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let asks = async |key: &str| {
        let mut request = from("198.51.100.1", "/v1/number-check?number=%2B353861234567");
        let key = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, key);
        rig.send(request).await.status.as_u16()
    };
    let mut answers = Vec::new();
    for _ in 0..21 {
        answers.push(asks("0123456789abcdef").await);
    }
    assert_eq!(answers[..20], [401; 20]);
    assert_eq!(answers[20], 429);
    assert_eq!(asks(&tenant.key).await, 200, "a good key is not held up");
}
