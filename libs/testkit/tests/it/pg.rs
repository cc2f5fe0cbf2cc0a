use crate::child;
use ccm_testkit::{PgOptions, PgServer, StopMode, TempFolder, provision::provision};
use std::{
    fs, net::TcpStream, os::unix::fs::PermissionsExt, process::Command, thread::sleep, time::Duration,
};

/// Through a program that is not the testkit's own way in.
fn sql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args(["-X", "-A", "-t", "-d", url, "-c", sql])
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn what_is_committed_outlives_both_kinds_of_restart_on_the_same_port() {
    let folder = TempFolder::new().unwrap();
    let mut server = PgServer::start_private(folder.path(), PgOptions::durable()).unwrap();
    let (url, port) = (server.superuser_url(), server.port());
    sql(&url, "create table t (n int)").unwrap();
    for (n, mode) in [(1, StopMode::Fast), (2, StopMode::Immediate)] {
        sql(&url, &format!("insert into t values ({n})")).unwrap();
        server.restart(mode).unwrap();
        assert_eq!(server.port(), port);
        assert_eq!(sql(&url, "select count(*) from t").unwrap(), n.to_string());
    }
    assert_eq!(sql(&url, "show fsync").unwrap(), "on");
    server.stop(StopMode::Fast).unwrap();
    sql(&url, "select 1").unwrap_err();
    drop(server);
    let server = PgServer::start_private(folder.path(), PgOptions::fast()).unwrap();
    let url = server.superuser_url();
    assert_eq!(
        sql(&url, "select count(*) from t").unwrap(),
        "2",
        "the folder is taken up again"
    );
    assert_eq!(sql(&url, "show fsync").unwrap(), "off");
}

#[test]
fn a_login_without_the_password_is_refused() {
    let folder = TempFolder::new().unwrap();
    let server = PgServer::start_private(folder.path(), PgOptions::fast()).unwrap();
    let guess = format!("postgres://postgres:guess@127.0.0.1:{}/postgres", server.port());
    assert!(
        sql(&guess, "select 1")
            .unwrap_err()
            .contains("authentication failed")
    );
}

#[test]
fn roles_are_what_the_product_expects_and_provisioning_can_be_repeated() {
    let folder = TempFolder::new().unwrap();
    let server = PgServer::start_private(folder.path(), PgOptions::fast()).unwrap();
    let urls = provision(&server, "demo").unwrap();
    sql(
        &urls.owner,
        "create table kept (n int); grant select on kept to ccm_app",
    )
    .unwrap();
    assert_eq!(provision(&server, "demo").unwrap(), urls);
    assert_eq!(sql(&urls.app, "select count(*) from kept").unwrap(), "0");
    sql(&urls.system, "select count(*) from kept").unwrap_err();
    sql(&urls.app, "create table mine (n int)").unwrap_err();
    let strong = "select count(*) from pg_roles where rolname like 'ccm%' and (rolsuper or rolbypassrls)";
    assert_eq!(sql(&urls.superuser, strong).unwrap(), "0");
    sql(&urls.owner, "create role ccm_more nologin").unwrap();
    assert!(
        !format!("{urls:?}").contains(urls.app.split(['/', '@']).nth(2).unwrap()),
        "no password in Debug"
    );
}

#[test]
fn a_start_that_fails_shows_the_log_and_a_way_out() {
    let folder = TempFolder::new().unwrap();
    let mut options = PgOptions::fast();
    options.settings.push(("shared_buffers".into(), "a lot".into()));
    let error = format!(
        "{:#}",
        PgServer::start_private(folder.path(), options).unwrap_err()
    );
    assert!(
        error.contains("invalid value for parameter \"shared_buffers\""),
        "{error}"
    );
    assert!(error.contains("PG_BIN"), "{error}");
}

#[test]
fn a_folder_that_only_root_may_enter_will_do() {
    let folder = TempFolder::new().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    for _ in 0..2 {
        let server = PgServer::start_private(closed.join("pg"), PgOptions::fast()).unwrap();
        let data = server.data().to_owned();
        drop(server);
        if !data.starts_with(&closed) {
            fs::remove_dir_all(data).unwrap();
        }
    }
}

/// Run by the test below in a process of its own.
#[test]
#[ignore = "a part of another test"]
fn a_process_with_a_server() {
    let folder = std::env::var("CCM_TESTKIT_FOLDER").unwrap();
    // From a thread that ends: the server must not end with it.
    let server = std::thread::spawn(|| PgServer::start_private(folder, PgOptions::fast()).unwrap())
        .join()
        .unwrap();
    println!("ready: {}", server.port());
    sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_parent_leaves_no_server_behind() {
    let folder = TempFolder::new().unwrap();
    let (mut parent, port) = child::start(
        "pg::a_process_with_a_server",
        "CCM_TESTKIT_FOLDER",
        folder.path().join("pg").to_str().unwrap(),
    );
    let port: u16 = port.parse().unwrap();
    sleep(Duration::from_millis(300));
    TcpStream::connect(("127.0.0.1", port)).expect("the server outlives the thread that started it");
    parent.kill().unwrap();
    parent.wait().unwrap();
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("Postgres runs on, 10 s after its parent was killed");
}
