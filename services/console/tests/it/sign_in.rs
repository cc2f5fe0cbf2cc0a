//! Who comes in, how, and for how long.

use crate::rig::{Rig, URL, body};
use axum::http::{Method, header};
use ccm_auth::Role::{Engineer, PlatformAdmin, TenantViewer};
use serde_json::json;
use url::Url;

const HOME: &str = "/console/tenants";

#[tokio::test]
async fn a_token_signs_in_and_nothing_else_does() {
    let rig = Rig::new().await;
    assert_eq!(rig.get("/", "").await.goes_to(), "/console");
    let page = rig.get("/console/tenants?q=a", "").await;
    assert_eq!(
        page.goes_to(),
        "/console/sign-in?next=%2Fconsole%2Ftenants%3Fq%3Da"
    );
    rig.get(page.goes_to(), "")
        .await
        .has("value=\"&#x2f;console&#x2f;tenants?q=a\"");
    for nonsense in ["", "ccm_x", "e30.e30.x", "a\r\nb: c"] {
        let refused = rig.post("/console/sign-in", "", &[("token", nonsense)]).await;
        assert!(
            [400, 401].contains(&refused.status.as_u16()),
            "{nonsense:?}: {}",
            refused.status
        );
        assert!(refused.cookies().is_empty() && !refused.html.contains(&format!("value=\"{nonsense}\"")));
    }

    let token = rig.token(Engineer, None);
    let fields = [("token", token.as_str()), ("next", "/console/tenants?q=a")];
    let page = rig.post("/console/sign-in", "", &fields).await;
    assert_eq!(page.goes_to(), "/console/tenants?q=a");
    let set = page.header(header::SET_COOKIE);
    assert!(
        set.starts_with("__Host-ccm_session=ccms_") && !set.contains(&token),
        "{set}"
    );
    for part in ["; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(set.contains(part), "{part} in {set}");
    }
    let cookies = page.cookies();
    rig.get(HOME, &cookies).await.has("somebody").has("engineer");
    for elsewhere in [
        "https://example.com",
        "//example.com",
        "/console\\example.com",
        "/consoles",
    ] {
        let page = rig
            .post("/console/sign-in", "", &[("token", &token), ("next", elsewhere)])
            .await;
        assert_eq!(page.goes_to(), "/console", "{elsewhere}");
    }

    let out = rig.post("/console/sign-out", &cookies, &[]).await;
    assert_eq!(out.goes_to(), "/console/sign-in");
    assert!(out.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(
        rig.get(HOME, &cookies).await.goes_to(),
        "/console/sign-in?next=%2Fconsole%2Ftenants&over=1"
    );
    rig.get("/console/sign-in?over=1", "")
        .await
        .has("Your session is over");
    assert_eq!(
        rig.post("/console/sign-out", &cookies, &[]).await.goes_to(),
        "/console/sign-in",
        "twice is once"
    );
}

#[tokio::test]
async fn on_ones_own_machine_cookies_need_no_tls() {
    let rig = Rig::at("http://127.0.0.1:8082").await;
    let token = rig.token(Engineer, None);
    let page = rig.post("/console/sign-in", "", &[("token", &token)]).await;
    let set = page.header(header::SET_COOKIE);
    assert!(
        set.starts_with("ccm_session=") && !set.contains("Secure"),
        "{set}"
    );
    rig.get(HOME, &page.cookies()).await.has("somebody");
}

#[tokio::test]
async fn people_sign_in_at_their_issuer() {
    let rig = Rig::new().await;
    let admin = rig.token(PlatformAdmin, None);
    let user =
        json!({"name": "Mary", "issuer": rig.issuer.name, "email": "mary@example.com", "role": "engineer"});
    let user = rig.api(Method::POST, "/v1/users", &admin, Some(user)).await;
    rig.get("/console/sign-in", "").await.has("Sign in at localhost");
    let claims = json!({"sub": "4711", "email": "mary@example.com", "email_verified": true});

    let start = rig
        .get("/console/sign-in/0?next=/console/tenants%3Fq%3Da", "")
        .await;
    let address = Url::parse(start.goes_to()).unwrap();
    let back = rig.issuer.consent(&address, &claims);
    assert!(
        back.as_str()
            .starts_with(&format!("{URL}/console/signed-in?code=")),
        "{back}"
    );
    let path = back.as_str().strip_prefix(URL).unwrap();
    let page = rig.get(path, &start.cookies()).await;
    assert_eq!(page.goes_to(), "/console/tenants?q=a");
    assert!(
        page.cookies().contains("__Host-ccm_sign_in_"),
        "it is taken away: {}",
        page.cookies()
    );
    let cookies = page.cookies();
    rig.get(HOME, &cookies)
        .await
        .has("mary@example.com")
        .has("engineer");

    let again = rig.get(path, &start.cookies()).await;
    assert_eq!(again.status, 502, "a code is good once");
    again.has("invalid_grant");
    let other = rig.get("/console/sign-in/0", "").await;
    let stolen = rig.issuer.consent(&Url::parse(other.goes_to()).unwrap(), &claims);
    let stolen = stolen.as_str().strip_prefix(URL).unwrap();
    for cookies in ["", &start.cookies()] {
        rig.get(stolen, cookies)
            .await
            .has("not the sign-in that was begun in this browser");
    }
    let refused = "/console/signed-in?error=access_denied&error_description=no&state=";
    rig.get(refused, &start.cookies()).await.has("not the sign-in");
    assert_eq!(rig.get("/console/sign-in/1", "").await.status, 502);

    let start = rig.get("/console/sign-in/0", "").await;
    let stranger = json!({"sub": "4712", "email": "eve@example.com", "email_verified": true});
    let back = rig
        .issuer
        .consent(&Url::parse(start.goes_to()).unwrap(), &stranger);
    let page = rig
        .get(back.as_str().strip_prefix(URL).unwrap(), &start.cookies())
        .await;
    assert_eq!(page.status, 401);
    page.has("no user of this platform");

    let id = user["id"].as_str().unwrap();
    rig.api(
        Method::PATCH,
        &format!("/v1/users/{id}"),
        &admin,
        Some(json!({"disabled": true})),
    )
    .await;
    assert!(
        rig.get(HOME, &cookies).await.goes_to().contains("over=1"),
        "out with the next request"
    );
}

#[tokio::test]
async fn two_tabs_sign_in_at_once_and_each_comes_to_its_page() {
    let rig = Rig::new().await;
    let admin = rig.token(PlatformAdmin, None);
    let user =
        json!({"name": "Mary", "issuer": rig.issuer.name, "email": "mary@example.com", "role": "engineer"});
    rig.api(Method::POST, "/v1/users", &admin, Some(user)).await;
    let claims = json!({"sub": "4711", "email": "mary@example.com", "email_verified": true});
    let mut jar = Vec::new();
    let mut backs = Vec::new();
    for n in 0..7 {
        let start = rig
            .get(
                &format!("/console/sign-in/0?next=/console/tenants%3Fq%3D{n}"),
                &jar.join("; "),
            )
            .await;
        let address = Url::parse(start.goes_to()).unwrap();
        backs.push(
            rig.issuer
                .consent(&address, &claims)
                .as_str()
                .replacen(URL, "", 1),
        );
        for line in start.headers.get_all(header::SET_COOKIE) {
            let (name, value) = line
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .split_once('=')
                .unwrap();
            jar.retain(|kept: &String| !kept.starts_with(name));
            if !value.is_empty() {
                jar.push(format!("{name}={value}"));
            }
        }
    }
    assert_eq!(jar.len(), 5, "as many as servers take, the last ones: {jar:?}");
    let jar = jar.join("; ");
    for (n, back) in backs.iter().enumerate().skip(2) {
        let page = rig.get(back, &jar).await;
        assert_eq!(page.goes_to(), format!("/console/tenants?q={n}"));
        let gone = page
            .cookies()
            .split("; ")
            .filter(|cookie| cookie.contains("_sign_in_"))
            .count();
        assert_eq!(gone, 1, "the others' cookies stay: {}", page.cookies());
    }
    rig.get(&backs[0], &jar)
        .await
        .has("not the sign-in that was begun in this browser");
}

#[tokio::test]
async fn a_role_sees_what_the_api_lets_it_see() {
    let rig = Rig::new().await;
    let admin = rig.token(PlatformAdmin, None);
    let tenant = async |slug: &str| {
        let new = json!({"slug": slug, "name": slug});
        let made = rig.api(Method::POST, "/v1/tenants", &admin, Some(new)).await;
        made["id"].as_str().unwrap().to_owned()
    };
    let (own, other) = (tenant("own").await, tenant("other").await);
    let viewer = rig
        .sign_in(&rig.token(TenantViewer, Some(own.parse().unwrap())))
        .await;
    assert_eq!(
        rig.get("/console", &viewer).await.goes_to(),
        format!("/console/tenants/{own}")
    );
    let page = rig.get(&format!("/console/tenants/{own}/numbers"), &viewer).await;
    assert!(!page.has("None yet").html.contains("New number"), "{}", page.html);
    for beyond in [format!("/console/tenants/{other}"), HOME.to_owned()] {
        let refused = rig.get(&beyond, &viewer).await;
        assert_eq!(refused.status, 403, "{beyond}");
        assert!(!refused.html.contains("other</a>"));
    }
    let nowhere = rig.get(&format!("/console/tenants/{own}/x"), &viewer).await;
    assert_eq!(nowhere.status, 404);
    for page in [
        "/console/tenants/..%2F..%2Fv1%2Ftenants",
        "/console/tenants/%2e%2e/links",
        "/console/tenants/a%20b",
    ] {
        assert_eq!(rig.get(page, &viewer).await.status, 404, "{page}");
    }
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let fields = [
        ("_do", "POST /v1/tenants"),
        ("_from", "/console/tenants/new"),
        ("slug", "x"),
        ("name", "x"),
    ];
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://example.com"),
        ("origin", "null"),
        ("x-nothing", "at all"),
    ] {
        let request = rig.form("/console/act", &cookies, &fields).header(name, value);
        let page = rig.ask(request.body(body(&fields)).unwrap()).await;
        assert_eq!(page.status, 403, "{name}: {value}");
    }
    let listed = rig.api(Method::GET, "/v1/tenants", &token, None).await;
    assert_eq!(listed["items"], json!([]));
    let request = rig.form("/console/act", &cookies, &fields).header("origin", URL);
    let page = rig.ask(request.body(body(&fields)).unwrap()).await;
    assert_eq!(
        page.status, 200,
        "a browser that does not know Sec-Fetch-Site: {}",
        page.html
    );
}

#[tokio::test]
async fn every_answer_is_dressed() {
    let rig = Rig::new().await;
    let cookies = rig.sign_in(&rig.token(Engineer, None)).await;
    for path in [
        "/console/sign-in",
        HOME,
        "/console/nowhere",
        "/console/static/console.css",
    ] {
        let page = rig.get(path, &cookies).await;
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        let kept = page.header(header::CACHE_CONTROL);
        assert_eq!(kept, "no-store", "{path}");
        assert!(
            !page.html.contains(" style=") && !page.html.contains("onclick"),
            "{path}"
        );
    }
    assert_eq!(
        rig.get("/console/static/../Cargo.toml", &cookies).await.status,
        404
    );
    let html = rig.get(HOME, &cookies).await.html;
    let script = html
        .split("src=\"")
        .find(|part| part.contains("console.js"))
        .unwrap();
    let script = script.split('"').next().unwrap().replace("&#x2f;", "/");
    let kept = async |path: &str| {
        let page = rig.get(path, "").await;
        page.header(header::CACHE_CONTROL).to_owned()
    };
    assert!(kept(&script).await.contains("immutable"), "{script}");
    let other = script.split('?').next().unwrap();
    assert_eq!(
        kept(&format!("{other}?0123456789ab")).await,
        "no-store",
        "another version's"
    );
    assert_eq!(
        rig.get("/v1/tenants", &cookies).await.status,
        401,
        "the API takes no cookie"
    );
}
