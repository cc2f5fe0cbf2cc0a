use crate::{call, problem, token};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use ccm_auth::Role;
use ccm_model::{IdSource, TenantId};
use serde_json::Value;

fn tenant(n: u64) -> TenantId {
    IdSource::new(crate::clock(), n).next()
}

fn request(method: &str, path: &str, token: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap()
}

async fn status(method: &str, path: &str, token: &str) -> StatusCode {
    call(request(method, path, token)).await.status()
}

#[tokio::test]
async fn without_a_token_there_is_a_challenge() {
    for (given, detail) in [
        (None, "carries no token"),
        (Some("Basic YTpi"), "carries no token"),
        (Some("Bearer"), "carries no token"),
        (Some("Bearer nonsense"), "malformed"),
    ] {
        let mut request = crate::get_request("/me");
        if let Some(given) = given {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, given.parse().unwrap());
        }
        let response = call(request).await;
        let challenge = response.headers()[header::WWW_AUTHENTICATE]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(challenge.starts_with("Bearer realm=\"ccm\""), "{challenge}");
        assert_eq!(
            challenge.contains("invalid_token"),
            detail == "malformed",
            "{challenge}"
        );
        let found = problem(response, StatusCode::UNAUTHORIZED).await;
        assert!(found["detail"].as_str().unwrap().contains(detail), "{found}");
    }
    let good = token(Role::Support, None);
    assert_eq!(status("GET", "/me", &good).await, StatusCode::OK);
    let lower = Request::get("/me")
        .header(header::AUTHORIZATION, format!("bearer {good}"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(call(lower).await.status(), StatusCode::OK, "schemes have no case");
}

#[tokio::test]
async fn a_tenants_people_stay_in_their_tenant() {
    let (mine, other) = (tenant(1), tenant(2));
    let (here, there) = (format!("/tenants/{mine}"), format!("/tenants/{other}"));
    let viewer = token(Role::TenantViewer, Some(mine));
    assert_eq!(status("GET", &here, &viewer).await, StatusCode::OK);
    assert_eq!(
        status("GET", &format!("{here}/texts"), &viewer).await,
        StatusCode::OK
    );
    assert_eq!(status("PUT", &here, &viewer).await, StatusCode::FORBIDDEN);
    assert_eq!(status("GET", &there, &viewer).await, StatusCode::FORBIDDEN);
    assert_eq!(status("POST", "/tenants", &viewer).await, StatusCode::FORBIDDEN);

    let admin = token(Role::TenantAdmin, Some(mine));
    assert_eq!(status("PUT", &here, &admin).await, StatusCode::OK);
    assert_eq!(status("PUT", &there, &admin).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_platforms_people_reach_every_tenant_as_far_as_their_role_goes() {
    let there = format!("/tenants/{}", tenant(3));
    let support = token(Role::Support, None);
    assert_eq!(status("GET", &there, &support).await, StatusCode::OK);
    assert_eq!(
        status("GET", &format!("{there}/texts"), &support).await,
        StatusCode::FORBIDDEN
    );
    let engineer = token(Role::Engineer, None);
    assert_eq!(status("PUT", &there, &engineer).await, StatusCode::OK);
    assert_eq!(status("POST", "/tenants", &engineer).await, StatusCode::OK);
    assert_eq!(status("GET", "/platform", &engineer).await, StatusCode::FORBIDDEN);
    let admin = token(Role::PlatformAdmin, None);
    assert_eq!(status("GET", "/platform", &admin).await, StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_names_the_role() {
    let viewer = token(Role::TenantViewer, Some(tenant(1)));
    let path = format!("/tenants/{}", tenant(1));
    let found: Value = problem(call(request("PUT", &path, &viewer)).await, StatusCode::FORBIDDEN).await;
    let remedy = found["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("tenant-admin") && remedy.contains("engineer"),
        "{remedy}"
    );
}

#[tokio::test]
async fn a_tenant_that_is_no_id_is_told_after_the_token() {
    let anonymous = crate::get_request("/tenants/nonsense");
    problem(call(anonymous).await, StatusCode::UNAUTHORIZED).await;
    let engineer = token(Role::Engineer, None);
    let found = problem(
        call(request("GET", "/tenants/nonsense", &engineer)).await,
        StatusCode::BAD_REQUEST,
    )
    .await;
    assert_eq!(found["field"], "tenant");
}
