use anyhow::{Result, bail};
use ccm_testkit::{PgOptions, PgServer, TempFolder, TestDb};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Stands for `ccm_db::migrate`: runs the folder's files as the owner, through psql.
async fn migrate(owner_url: String, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &owner_url, "-f"])
            .arg(entry?.path());
        let output = psql.output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(())
}

fn migrations(sql: &str) -> TempFolder {
    let folder = TempFolder::new().unwrap();
    fs::write(folder.path().join("0001_first.sql"), sql).unwrap();
    folder
}

#[tokio::test]
async fn every_test_has_a_fresh_database_and_migrations_run_once_per_content() {
    let folder = migrations("create table t (n int); -- fresh");
    let calls = AtomicUsize::new(0);
    let create = || {
        TestDb::create_from(folder.path(), async |url: String| {
            calls.fetch_add(1, Relaxed);
            migrate(url, folder.path()).await
        })
    };
    // At once, on one thread: waiting for the other's migration must not stop that one.
    let (a, b) = tokio::join!(create(), create());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(calls.load(Relaxed), 1);
    a.superuser_sql("insert into t values (1)").unwrap();
    assert_eq!(a.superuser_sql("select count(*) from t").unwrap(), "1");
    assert_eq!(b.superuser_sql("select count(*) from t").unwrap(), "0");
    assert_eq!(
        b.superuser_sql("select tableowner from pg_tables where tablename = 't'")
            .unwrap(),
        "ccm_owner"
    );
    fs::write(folder.path().join("0002_second.sql"), "create table u (n int);").unwrap();
    let c = create().await.unwrap();
    assert_eq!(calls.load(Relaxed), 2, "other content, other template");
    c.superuser_sql("select count(*) from u").unwrap();
    b.superuser_sql("select count(*) from u").unwrap_err();
    let (gone, there) = (a.name().to_owned(), c.name().to_owned());
    drop(a);
    let left = c.superuser_sql("select datname from pg_database").unwrap();
    assert!(!left.contains(&gone) && left.contains(&there));
}

#[tokio::test]
async fn a_migration_that_fails_is_told_and_tried_again() {
    let folder = migrations("create table t (n int); select no_such_function();");
    let error = TestDb::create_from(folder.path(), async |url| migrate(url, folder.path()).await)
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("no_such_function"), "{error:#}");
    let error = TestDb::create_from(folder.path(), async |url| migrate(url, folder.path()).await)
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("no_such_function"),
        "not a half-made template: {error:#}"
    );
}

/// Run by the test below in processes of its own. `CCM_TEST_PG` names the server.
#[tokio::test]
#[ignore = "a part of another test"]
async fn a_process_with_a_database() {
    let folder = std::env::var("CCM_TESTKIT_FOLDER").unwrap();
    let migrated = AtomicUsize::new(0);
    let db = TestDb::create_from(folder.as_ref(), async |url| {
        migrated.fetch_add(1, Relaxed);
        migrate(url, folder.as_ref()).await
    });
    let db = db.await.unwrap();
    assert_eq!(db.superuser_sql("select count(*) from t").unwrap(), "0");
    println!("ready: {}", migrated.load(Relaxed));
}

#[test]
fn processes_that_begin_at_once_agree_on_roles_and_template() {
    let pg_folder = TempFolder::new().unwrap();
    let server = PgServer::start_private(pg_folder.path(), PgOptions::fast()).unwrap();
    let folder = migrations("create table t (n int); select pg_sleep(0.3);");
    let url = server.superuser_url();
    let migrated: usize = std::thread::scope(|scope| {
        let child = || {
            let command = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "db::a_process_with_a_database",
                    "--ignored",
                    "--nocapture",
                ])
                .env("CCM_TESTKIT_FOLDER", folder.path())
                .env("CCM_TEST_PG", &url)
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&command.stdout).into_owned();
            assert!(command.status.success(), "{printed}");
            let (_, count) = printed
                .split_once("ready: ")
                .expect("it says how often it migrated");
            count[..1].parse::<usize>().unwrap()
        };
        let children: Vec<_> = (0..6).map(|_| scope.spawn(child)).collect();
        children.into_iter().map(|child| child.join().unwrap()).sum()
    });
    assert_eq!(migrated, 1, "one of them migrates, the others wait and clone");
}
