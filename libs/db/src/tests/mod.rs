//! What cannot be seen from outside: the statements' plans, and what a pooled connection keeps.

#![allow(
    clippy::disallowed_methods,
    reason = "tests live in real time, next to Postgres' clock"
)]

mod plans;
mod sessions;
mod work;

use crate::{Db, DbConfig, KeyRing};
use ccm_testkit::TestDb;
use sqlx::{Connection, Executor, PgConnection};

async fn database() -> TestDb {
    TestDb::create(async |url: String| crate::migrate(&url.into()).await)
        .await
        .unwrap()
}

fn open(test: &TestDb, connections: u32) -> Db {
    open_with(test, connections, "")
}

/// `parameters` are added to the addresses, as `?options=…`.
fn open_with(test: &TestDb, connections: u32, parameters: &str) -> Db {
    let config = DbConfig {
        app_url: format!("{}{parameters}", test.app_url()).into(),
        system_url: format!("{}{parameters}", test.system_url()).into(),
        app_pool: connections,
        system_pool: connections,
    };
    Db::open(&config, KeyRing::new([[7; 32]]).unwrap()).unwrap()
}

/// One test, because making the rows takes most of its time.
#[tokio::test]
async fn with_realistic_amounts() {
    let test = database().await;
    let mut root = PgConnection::connect(test.superuser_url()).await.unwrap();
    root.execute(include_str!("../../tests/volume.sql"))
        .await
        .unwrap();
    root.close().await.unwrap();
    plans::hot_statements_use_their_indexes(&test).await;
    work::no_call_reads_more_than_it_needs(&test).await;
}
