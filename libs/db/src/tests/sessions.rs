//! A connection goes from one tenant's transaction to the next user's.

use super::{database, open};
use ccm_model::{IdSource, TenantId};
use sqlx::{Connection, Executor};

async fn setting(db: &crate::Db) -> Option<String> {
    let sql = "SELECT nullif(current_setting('app.tenant_ids', true), '')";
    sqlx::query_scalar(sql).fetch_one(db.app_pool()).await.unwrap()
}

async fn seen(db: &crate::Db) -> i64 {
    let sql = "SELECT count(*) FROM tenant";
    sqlx::query_scalar(sql).fetch_one(db.app_pool()).await.unwrap()
}

#[tokio::test]
async fn a_tenant_does_not_stay_on_the_connection() {
    let test = database().await;
    let db = open(&test, 1);
    let ids = IdSource::system();
    let (a, b): (TenantId, TenantId) = (ids.next(), ids.next());
    for (id, slug) in [(a, "a"), (b, "b")] {
        db.operator().create_tenant(id, slug, "A tenant").await.unwrap();
    }
    assert_eq!((setting(&db).await, seen(&db).await), (None, 0), "fresh");
    assert_eq!(db.tenant(a).accounts().await.unwrap().len(), 0);
    assert_eq!((setting(&db).await, seen(&db).await), (None, 0), "after a commit");

    let mut tx = db.tenant(a).begin().await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tenant")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(count, 1, "inside");
    tx.execute("SELECT 1/0").await.unwrap_err();
    drop(tx);
    assert_eq!((setting(&db).await, seen(&db).await), (None, 0), "after an error");

    assert!(matches!(
        db.tenant(a).account_secret(ids.next()).await,
        Err(crate::DbError::NotFound(_))
    ));
    assert_eq!(
        (setting(&db).await, seen(&db).await),
        (None, 0),
        "after a rollback"
    );

    // A caller that gives up in the middle: its request was cancelled.
    let tenant = db.tenant(b);
    let slow = async {
        let mut tx = tenant.begin().await.unwrap();
        tx.execute("SELECT pg_sleep(30)").await.unwrap();
    };
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(200), slow).await;
    assert!(gave_up.is_err());
    // The connection is busy for as long as Postgres sleeps; end it, as an operator would.
    let mut root = sqlx::PgConnection::connect(test.superuser_url()).await.unwrap();
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()";
    root.execute(cancel).await.unwrap();
    assert_eq!(
        (setting(&db).await, seen(&db).await),
        (None, 0),
        "after a cancelled call"
    );
}

#[tokio::test]
async fn sessions_have_limits() {
    let test = database().await;
    let db = open(&test, 1);
    for (name, value) in [
        ("statement_timeout", "30s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ] {
        for pool in [db.app_pool(), db.operator().pool()] {
            let sql = "SELECT current_setting($1)";
            let is: String = sqlx::query_scalar(sql).bind(name).fetch_one(pool).await.unwrap();
            assert_eq!(is, value, "{name}");
        }
    }
}

/// Who waits for another's migration must not stop that one: `CREATE INDEX CONCURRENTLY` waits for every snapshot.
#[tokio::test]
async fn waiting_for_a_migration_holds_no_snapshot() {
    let test = database().await;
    let mut first = sqlx::PgConnection::connect(test.owner_url()).await.unwrap();
    crate::migrate::lock(&mut first).await.unwrap();
    let url = test.owner_url().to_owned().into();
    let second = tokio::spawn(async move { crate::migrate(&url).await });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    first.execute("SET statement_timeout = '10s'").await.unwrap();
    for n in 0..10 {
        let index = format!("CREATE INDEX CONCURRENTLY on_name_{n} ON tenant (name)");
        first.execute(sqlx::AssertSqlSafe(index)).await.unwrap();
    }
    assert!(!second.is_finished());
    first.close().await.unwrap();
    second.await.unwrap().unwrap();
}
