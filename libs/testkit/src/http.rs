//! The one HTTP request that the testkit makes itself: a GET of a role's plain page.

use anyhow::{Context, Result};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Status code and body of `GET http://127.0.0.1:port/path`.
pub(crate) async fn get(port: u16, path: &str) -> Result<(u16, String)> {
    tokio::time::timeout(Duration::from_secs(10), ask(port, path))
        .await
        .with_context(|| format!("GET http://127.0.0.1:{port}{path}: no answer in 10 s"))?
        .with_context(|| format!("GET http://127.0.0.1:{port}{path}"))
}

async fn ask(port: u16, path: &str) -> Result<(u16, String)> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // HTTP/1.0: the body comes unchunked and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("the answer is not HTTP")?;
    Ok((status, body.to_owned()))
}
