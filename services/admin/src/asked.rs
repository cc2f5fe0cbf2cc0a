//! What a request may ask, as the API's document says: nothing that a route does not know is passed over in silence.

use crate::{Deps, answer::Failure};
use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ccm_model::TenantId;
use ccm_web::{Caller, Problem};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use utoipa::openapi::{
    OpenApi, PathItem, RefOr,
    path::{Operation, ParameterIn},
};

/// What each route takes.
#[derive(Clone)]
pub(crate) struct Routes(Arc<HashMap<(String, Method), Takes>>);

#[derive(Default)]
struct Takes {
    queries: HashSet<String>,
    if_match: bool,
}

impl Routes {
    pub fn of(document: &OpenApi) -> Self {
        let mut routes = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                routes.insert((path.clone(), method), Takes::of(operation));
            }
        }
        Self(Arc::new(routes))
    }

    fn check(&self, path: &str, method: &Method, query: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(takes) = self.0.get(&(path.to_owned(), method.clone())) else {
            return Ok(());
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !takes.queries.contains(&*name) {
                return Err(
                    Problem::invalid_field(name, "this is not a parameter of the request")
                        .remedy(takes.remedy()),
                );
            }
            if value.contains('\0') {
                return Err(Problem::invalid_field(
                    name,
                    "holds the character U+0000, which no text here has",
                )
                .remedy("leave the character out"));
            }
        }
        if *method != Method::GET && headers.contains_key(header::IF_MATCH) && !takes.if_match {
            return Err(
                Problem::invalid_field("If-Match", "this request does not heed the header")
                    .remedy("send it without: what it does depends on no earlier state"),
            );
        }
        Ok(())
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

impl Takes {
    fn of(operation: &Operation) -> Self {
        let mut takes = Self::default();
        for parameter in operation.parameters.iter().flatten() {
            // All of ours stand where they are used.
            let RefOr::T(parameter) = parameter else { continue };
            match parameter.parameter_in {
                ParameterIn::Query => _ = takes.queries.insert(parameter.name.clone()),
                ParameterIn::Header => takes.if_match |= parameter.name.eq_ignore_ascii_case("If-Match"),
                _ => {}
            }
        }
        takes
    }

    fn remedy(&self) -> String {
        let mut known: Vec<&str> = self.queries.iter().map(String::as_str).collect();
        known.sort_unstable();
        match known.is_empty() {
            true => "send it without a query".to_owned(),
            false => format!("it knows {}", known.join(", ")),
        }
    }
}

/// Refuses what the route does not know, and changes by the people of a tenant that is being deleted. To be put within
/// [`ccm_web::identify`]: who is not known is told that first.
pub(crate) async fn asked(
    State((routes, deps)): State<(Routes, Deps)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let tenant_role = match parts.extensions.get::<Caller>() {
        Some(Caller {
            bearer: Ok(bearer), ..
        }) => bearer.role.is_of_tenant().then_some(bearer.tenant).flatten(),
        _ => return next.run(Request::from_parts(parts, body)).await,
    };
    let query = parts.uri.query().unwrap_or_default();
    if let Some(path) = parts.extensions.get::<MatchedPath>()
        && let Err(problem) = routes.check(path.as_str(), &parts.method, query, &parts.headers)
    {
        return problem.into_response();
    }
    if parts.method != Method::GET
        && let Some(own) = tenant_role
        && RawPathParams::from_request_parts(&mut parts, &())
            .await
            .is_ok_and(|params| params.iter().any(|(name, _)| name == "tenant"))
        && let Err(failure) = goes_on(&deps, own).await
    {
        return failure.into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

async fn goes_on(deps: &Deps, tenant: TenantId) -> Result<(), Failure> {
    if deps.db.tenant(tenant).tenant().await?.closing_since.is_none() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "being-deleted",
        "The tenant is being deleted",
    )
    .detail("until then its own people may read what it has, and change nothing")
    .remedy("ask whoever runs the platform: a platform-admin can take the deletion back")
    .into())
}
