//! Forms that are sent when nobody is signed in any more.

use crate::rig::{Page, Rig, with};
use ccm_auth::Role::Engineer;

const NEW: &str = "/console/tenants/new";

fn kept(page: &Page) -> String {
    assert_eq!(page.status, 401);
    page.has("nothing was done");
    let fields = page.form("action=\"/console/go-on\"");
    fields.into_iter().find(|(name, _)| name == "kept").unwrap().1
}

#[tokio::test]
async fn what_is_sent_after_the_session_has_ended_comes_back_after_signing_in() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let form = rig.get(NEW, &cookies).await.form("POST &#x2f;v1&#x2f;tenants\"");
    let form = with(&form, "name", "Bäcker & <Söhne>");
    rig.post("/console/sign-out", &cookies, &[]).await;
    for cookies in [cookies.as_str(), ""] {
        let kept = kept(&rig.post("/console/act", cookies, &form).await);
        let fields = [("token", "ccm_nonsense"), ("kept", kept.as_str())];
        let refused = rig.post("/console/sign-in", "", &fields).await;
        assert_eq!(refused.status, 401);
        let again = refused.form("name=\"token\"");
        assert!(again.contains(&("kept".to_owned(), kept.clone())), "{again:?}");

        let fields = [("token", token.as_str()), ("kept", kept.as_str())];
        let back = rig.post("/console/sign-in", "", &fields).await;
        assert_eq!(back.status, 200);
        back.has("Nothing was done yet");
        assert!(back.cookies().contains("ccm_session=ccms_"), "{}", back.cookies());
        let again = back.form("POST &#x2f;v1&#x2f;tenants\"");
        assert!(
            again.contains(&("name".to_owned(), "Bäcker & <Söhne>".to_owned())),
            "{again:?}"
        );
        // It can be sent from there.
        let sent = with(&again, "slug", "not a slug");
        let refused = rig.post("/console/act", &back.cookies(), &sent).await;
        assert_eq!(refused.status, 422);
    }
}

#[tokio::test]
async fn whoever_signs_in_in_another_tab_goes_on_and_somebody_else_does_not() {
    let rig = Rig::new().await;
    let cookies = rig.sign_in(&rig.token(Engineer, None)).await;
    let form = rig.get(NEW, &cookies).await.form("POST &#x2f;v1&#x2f;tenants\"");
    let form = with(&form, "name", "Acme");
    let form = [&form[..], &[("secret.auth_token", "hush"), ("key", "hush")]].concat();
    rig.post("/console/sign-out", &cookies, &[]).await;
    let page = rig.post("/console/act", &cookies, &form).await;
    assert!(!page.html.contains("hush"), "{}", page.html);
    let kept = kept(&page);
    let go_on = [("kept", kept.as_str())];
    rig.post("/console/go-on", &cookies, &go_on)
        .await
        .has("nothing was done");
    let mine = rig.sign_in(&rig.token(Engineer, None)).await;
    rig.post("/console/go-on", &mine, &go_on)
        .await
        .has("value=\"Acme\"");

    let theirs = rig.token_of("somebody-else", Engineer, None);
    let fields = [("token", theirs.as_str()), ("kept", kept.as_str())];
    let page = rig.post("/console/sign-in", "", &fields).await;
    assert_eq!(page.status, 403);
    let cookies = page.cookies();
    for page in [
        page,
        rig.post("/console/go-on", &cookies, &go_on).await,
        rig.post("/console/act", &cookies, &form).await,
    ] {
        assert_eq!(page.status, 403);
        assert!(!page.has("Somebody else").html.contains("Acme"), "{}", page.html);
    }
    let none = rig
        .api(axum::http::Method::GET, "/v1/tenants", &theirs, None)
        .await;
    assert_eq!(none["items"], serde_json::json!([]), "nothing was done");
}
