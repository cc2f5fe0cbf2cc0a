use crate::app::App;
use ccm_runtime::{Config, Ending, Health, Lifecycle, Sources};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Over a real socket, and over with the process.
#[tokio::test]
async fn serves_until_it_is_asked_to_end() {
    let app = App::start().await;
    let life = Lifecycle::new(
        Config::load(&Sources::default()).unwrap().shutdown,
        Health::new("admin"),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    life.spawn(
        "admin",
        ccm_admin::run(
            listener,
            ccm_admin::router(app.deps.clone()),
            app.deps.clone(),
            life.clone(),
        ),
    );
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket
        .write_all(b"GET /v1/tenants HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("www-authenticate: Bearer"), "{answer}");

    life.drain();
    assert_eq!(life.finish().await, Ending::Clean);
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}
