//! A small service as ours are made, called as clients call it.

mod authorising;
mod problems;
mod watching;

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
    middleware::from_fn_with_state,
    routing::{get, post},
};
use ccm_auth::{Bearer, JwtConfig, JwtKey, Role, TokenIssuer, TokenVerifier};
use ccm_model::{Clock, IdSource, TenantId};
use ccm_web::{
    Authenticated, Bytes, Gatekeeper, Json, Page, PageQuery, Path, Platform, Problem, Query, RequestId,
    TenantScope, TrustedProxies, WebConfig, identify, may, wrap,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use time::OffsetDateTime;
use tower::ServiceExt;

#[derive(Clone)]
struct Gate(TokenVerifier);

impl Gatekeeper for Gate {
    async fn admit(&self, token: &str) -> Result<Bearer, Problem> {
        let bearer = self.0.verify(token);
        bearer.map_err(|error| Problem::unauthorised(Some(error)))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNumber {
    address: String,
    skillsets: Vec<Skillset>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Skillset {
    rank: u8,
}

fn clock() -> Clock {
    Clock::fixed(OffsetDateTime::from_unix_timestamp(1_760_000_000).unwrap())
}

fn jwt() -> JwtConfig {
    JwtConfig {
        issuer: "ccm".to_owned(),
        audience: "ccm-admin".to_owned(),
        leeway: Duration::ZERO,
        key: JwtKey::Hs256(b"a secret of at least thirty-two bytes".to_vec().into()),
    }
}

fn token(role: Role, tenant: Option<TenantId>) -> String {
    let issuer = TokenIssuer::new(&jwt(), clock()).unwrap();
    issuer
        .issue("alice", role, tenant, Duration::from_secs(60))
        .unwrap()
}

fn service() -> Router {
    let router = Router::new()
        .route("/numbers", post(async |Json(new): Json<NewNumber>| Json(new)))
        .route("/raw", post(async |Bytes(body): Bytes| body.len().to_string()))
        .route("/count/{n}", get(async |Path(n): Path<u32>| n.to_string()))
        .route(
            "/list",
            get(async |Query(page): Query<PageQuery>| {
                let (limit, after) = (page.limit()?, page.position::<u32>()?.unwrap_or(0));
                let found = (after + 1..=5).take(limit + 1).collect();
                Ok::<_, Problem>(Json(Page::cut(found, limit, |n| *n)))
            }),
        )
        .route("/me", get(async |me: Authenticated| me.bearer.sub))
        .route(
            "/platform",
            get(async |me: Platform<may::ManagePlatformAccess>| me.actor.sub),
        )
        .route(
            "/tenants",
            post(async |platform: Platform<may::CreateTenants>| platform.bearer.sub),
        )
        .route(
            "/tenants/{tenant}",
            get(async |scope: TenantScope<may::ReadSettings>| scope.tenant.to_string())
                .put(async |scope: TenantScope<may::WriteSettings>| scope.tenant.to_string()),
        )
        .route(
            "/tenants/{tenant}/texts",
            get(async |scope: TenantScope<may::ReadTexts>| scope.tenant.to_string()),
        )
        .route("/id", get(async |id: RequestId| id.to_string()))
        .route(
            "/panic",
            get(async || -> &'static str { panic!("a handler's fault") }),
        )
        .route("/broken", get(async || Problem::internal("the disk is full")))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(Duration::from_secs(60)).await;
                "late"
            }),
        );
    let config = WebConfig {
        role: "test",
        max_body_bytes: 1000,
        timeout: Some(Duration::from_secs(10)),
    };
    let gate = Gate(TokenVerifier::new(&jwt(), clock()).unwrap());
    let router = router.layer(from_fn_with_state(
        (gate, TrustedProxies::default()),
        identify::<Gate>,
    ));
    wrap(router, config, IdSource::new(clock(), 1))
}

async fn call(request: Request<Body>) -> Response<Body> {
    service().oneshot(request).await.unwrap()
}

fn get_request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn json_request(path: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Checks what all problems have in common.
async fn problem(response: Response<Body>, status: StatusCode) -> Value {
    let (kind, id) = (
        response.headers()[header::CONTENT_TYPE].clone(),
        response.headers()["x-request-id"].clone(),
    );
    assert_eq!(response.status(), status);
    assert_eq!(kind, "application/problem+json");
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(body["status"], status.as_u16());
    assert_eq!(body["request_id"], id.to_str().unwrap());
    assert!(
        body["type"].as_str().unwrap().starts_with("urn:ccm:problem:"),
        "{body}"
    );
    assert!(!body["title"].as_str().unwrap().is_empty());
    body
}
