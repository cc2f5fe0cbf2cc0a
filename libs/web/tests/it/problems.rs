use crate::{call, get_request, json_request, problem, service, text};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use ccm_web::{Cursor, Problem};
use serde_json::Value;
use tower::ServiceExt;
use utoipa::{PartialSchema, ToSchema};

#[tokio::test]
async fn good_json_goes_through() {
    let body = r#"{"address":"+14155550123","skillsets":[{"rank":1}]}"#;
    let response = call(json_request("/numbers", body)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(text(response).await, body);
}

#[tokio::test]
async fn bad_json_is_told_with_its_field() {
    let cases = [
        (r#"{"address":1,"skillsets":[]}"#, Some("address")),
        (
            r#"{"address":"x","skillsets":[{"rank":1},{"rank":"high"}]}"#,
            Some("skillsets[1].rank"),
        ),
        (r#"{"address":"x","skillsets":[],"skilset":1}"#, Some("skilset")),
        (r#"{"address":"x"}"#, Some("skillsets")),
        (r#"{"address":"x","skillsets":[{}]}"#, Some("skillsets[0].rank")),
        (r#"{"address":"#, None),
        (r#"{"address":"x","skillsets":[]} and more"#, None),
    ];
    for (body, field) in cases {
        let found = problem(
            call(json_request("/numbers", body)).await,
            StatusCode::BAD_REQUEST,
        )
        .await;
        assert_eq!(found["field"].as_str(), field, "{found}");
        assert!(
            !found["detail"].as_str().unwrap().is_empty() && !found["remedy"].as_str().unwrap().is_empty()
        );
    }
    let mut not_json = json_request("/numbers", "{}");
    not_json.headers_mut().remove(header::CONTENT_TYPE);
    let found = problem(call(not_json).await, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    assert!(
        found["remedy"].as_str().unwrap().contains("application/json"),
        "{found}"
    );
}

#[tokio::test]
async fn bad_paths_and_queries_are_told() {
    let found = problem(call(get_request("/count/many")).await, StatusCode::BAD_REQUEST).await;
    assert!(found["detail"].as_str().unwrap().contains("u32"), "{found}");
    let found = problem(
        call(get_request("/list?limit=many")).await,
        StatusCode::BAD_REQUEST,
    )
    .await;
    assert_eq!(found["field"], "limit", "{found}");
    let found = problem(call(get_request("/list?limt=1")).await, StatusCode::BAD_REQUEST).await;
    assert!(found["detail"].as_str().unwrap().contains("limt"), "{found}");
    let found = problem(
        call(get_request("/list?limit=201")).await,
        StatusCode::BAD_REQUEST,
    )
    .await;
    assert_eq!(found["field"], "limit");
    let found = problem(
        call(get_request("/list?cursor=nonsense")).await,
        StatusCode::BAD_REQUEST,
    )
    .await;
    assert_eq!(found["field"], "cursor");
}

#[tokio::test]
async fn large_bodies_are_refused_announced_or_not() {
    let large = "x".repeat(1001);
    let announced = Request::post("/raw")
        .header(header::CONTENT_LENGTH, "1001")
        .body(Body::from(large.clone()))
        .unwrap();
    let found = problem(call(announced).await, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(
        found["detail"].as_str().unwrap().contains("1000 bytes"),
        "{found}"
    );

    let piece: Result<_, std::io::Error> = Ok(axum::body::Bytes::from(large));
    let chunked = Body::from_stream(stream_of(piece));
    let unannounced = Request::post("/raw").body(chunked).unwrap();
    let found = problem(call(unannounced).await, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(
        found["detail"].as_str().unwrap().contains("1000 bytes"),
        "{found}"
    );

    let fits = Request::post("/raw").body(Body::from("x".repeat(1000))).unwrap();
    assert_eq!(text(call(fits).await).await, "1000");
}

/// A body whose length nobody knows before.
fn stream_of<T: Send + 'static>(item: T) -> impl futures::Stream<Item = T> + Send {
    futures::stream::iter([item])
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told() {
    let found = problem(call(get_request("/nowhere")).await, StatusCode::NOT_FOUND).await;
    assert_eq!(found["type"], "urn:ccm:problem:not-found");
    let delete = Request::delete("/tenants/x").body(Body::empty()).unwrap();
    let response = call(delete).await;
    let allow = response.headers()[header::ALLOW].to_str().unwrap().to_owned();
    assert!(allow.contains("PUT") && allow.contains("GET"), "{allow}");
    problem(response, StatusCode::METHOD_NOT_ALLOWED).await;
}

#[tokio::test]
async fn faults_of_ours_are_not_shown() {
    std::panic::set_hook(Box::new(|_| ()));
    for path in ["/panic", "/broken"] {
        let found = problem(call(get_request(path)).await, StatusCode::INTERNAL_SERVER_ERROR).await;
        let shown = found.to_string();
        assert!(!shown.contains("fault") && !shown.contains("disk"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_dropped() {
    let found = problem(call(get_request("/slow")).await, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(found["remedy"].as_str().unwrap().contains("again"), "{found}");
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let service = service();
    let (mut seen, mut path) = (Vec::new(), "/list?limit=2".to_owned());
    loop {
        let response = service.clone().oneshot(get_request(&path)).await.unwrap();
        let page: Value = serde_json::from_str(&text(response).await).unwrap();
        let items: Vec<u64> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .collect();
        assert!(items.len() <= 2 && !items.is_empty(), "{page}");
        seen.extend(items);
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/list?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

#[test]
fn a_cursor_reads_back_and_another_lists_cursor_is_refused() {
    let cursor = Cursor::at(&("2026-11-23", 7));
    assert_eq!(
        cursor.position::<(String, u32)>().unwrap(),
        ("2026-11-23".to_owned(), 7)
    );
    assert!(cursor.position::<u32>().is_err());
}

#[tokio::test]
async fn request_ids_are_taken_over_only_if_they_are_ids() {
    let ours = "0192d3f4-5678-7abc-8def-0123456789ab";
    for (given, kept) in [
        (ours, true),
        ("+14155550123", false),
        ("14155550123", false),
        ("x y", false),
    ] {
        let mut request = get_request("/id");
        request
            .headers_mut()
            .insert("x-request-id", given.parse().unwrap());
        let response = call(request).await;
        let shown = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(shown == given, kept, "{given}");
        assert_eq!(text(response).await, shown, "handlers see the same");
    }
}

#[test]
fn the_documents_schema_has_what_a_problem_has() {
    assert_eq!(Problem::name(), "Problem");
    let schema = serde_json::to_value(Problem::schema()).unwrap();
    let mut names: Vec<_> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "detail",
            "field",
            "remedy",
            "request_id",
            "status",
            "title",
            "type"
        ]
    );
    assert!(
        size_of::<Problem>() <= 128,
        "results stay small: {}",
        size_of::<Problem>()
    );
}
