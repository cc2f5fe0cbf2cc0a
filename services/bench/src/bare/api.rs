//! axum and sqlx: a form is read, inserted as one row, answered when the commit is through. Inserts batch naturally:
//! each of two writers takes whatever waits. No signature, no tenant, no de-duplication, no conversation, no order.

use anyhow::Result;
use axum::{Form, Router, extract::State, http::StatusCode, routing::post, serve::ListenerExt};
use deadpool_redis::redis;
use serde::Deserialize;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::{net::Ipv4Addr, sync::Arc};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, oneshot},
};

/// Redis' channel that the bare connector listens to.
pub const CHANNEL: &str = "bare-texts";
/// Where texts are posted to.
pub const PATH: &str = "/sms";
/// What stands in front of the address that it prints.
pub const LISTENS: &str = "listens on ";

const WRITERS: usize = 2;
const LARGEST_BATCH: usize = 64;

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "MessageSid")]
    id: String,
    #[serde(rename = "From")]
    from: String,
    #[serde(rename = "To")]
    to: String,
    #[serde(rename = "Body")]
    body: String,
}

/// A text, and where to say whether it is committed.
type Job = (Text, oneshot::Sender<bool>);

#[derive(Clone)]
struct App {
    jobs: mpsc::Sender<Job>,
    redis: Option<redis::aio::MultiplexedConnection>,
}

/// Serves `POST /sms` on a free loopback port, which it prints; with `redis_url` each text is published after its commit.
pub async fn run(database_url: &str, redis_url: Option<&str>) -> Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .test_before_acquire(false)
        .connect(database_url)
        .await?;
    sqlx::query(
        "CREATE TABLE bare_sms (id bigserial PRIMARY KEY, ext_id text, src text, dst text, body text)",
    )
    .execute(&pool)
    .await?;
    let redis = match redis_url {
        Some(url) => Some(
            redis::Client::open(url)?
                .get_multiplexed_async_connection()
                .await?,
        ),
        None => None,
    };
    let (jobs, waiting) = mpsc::channel::<Job>(4096);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..WRITERS {
        tokio::spawn(write(pool.clone(), waiting.clone()));
    }
    let app = Router::new()
        .route(PATH, post(take))
        .with_state(App { jobs, redis });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{LISTENS}{}", listener.local_addr()?);
    axum::serve(listener.tap_io(|socket| drop(socket.set_nodelay(true))), app).await?;
    Ok(())
}

async fn write(pool: PgPool, waiting: Arc<Mutex<mpsc::Receiver<Job>>>) {
    let mut batch: Vec<Job> = Vec::with_capacity(LARGEST_BATCH);
    loop {
        if waiting.lock().await.recv_many(&mut batch, LARGEST_BATCH).await == 0 {
            return;
        }
        let ok = insert(&pool, &batch).await;
        if let Err(error) = &ok {
            eprintln!("a batch was not stored: {error}");
        }
        for (_, answer) in batch.drain(..) {
            let _ = answer.send(ok.is_ok());
        }
    }
}

async fn insert(pool: &PgPool, batch: &[Job]) -> sqlx::Result<()> {
    let column = |get: fn(&Text) -> &str| batch.iter().map(|(text, _)| get(text)).collect::<Vec<&str>>();
    sqlx::query(
        "INSERT INTO bare_sms (ext_id, src, dst, body) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])",
    )
    .bind(column(|t| &t.id))
    .bind(column(|t| &t.from))
    .bind(column(|t| &t.to))
    .bind(column(|t| &t.body))
    .execute(pool)
    .await
    .map(drop)
}

async fn take(State(app): State<App>, Form(text): Form<Text>) -> StatusCode {
    let body = app.redis.as_ref().map(|_| text.body.clone());
    let (answer, committed) = oneshot::channel();
    if app.jobs.send((text, answer)).await.is_err() || !committed.await.unwrap_or(false) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    if let (Some(mut redis), Some(body)) = (app.redis, body) {
        let published: redis::RedisResult<i64> = redis::cmd("PUBLISH")
            .arg(CHANNEL)
            .arg(body)
            .query_async(&mut redis)
            .await;
        if published.is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    StatusCode::OK
}
