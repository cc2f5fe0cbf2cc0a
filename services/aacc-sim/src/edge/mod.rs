//! The EWC port: TCP, TLS, HTTP, and the two addresses that AACC serves on it.

mod hello;
mod http;
mod setup;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::fault::NewConnections;
use crate::shared::Shared;
use crate::socket::{self, Stream};
use crate::tls::{Serving, TlsVersions};
pub use setup::{BodyLimit, Edge, HttpAnswer, Others, OverLimit, UpgradeAnswer, WhiteList};

const TLS_WAIT: Duration = Duration::from_secs(10);

/// Accepts connections until the simulator stops.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((tcp, from)) => {
                let task = shared.clone();
                shared.tasks.spawn(async move {
                    let stop = task.stop.clone();
                    tokio::select! {
                        () = connection(task, tcp, from) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(error.message = %error, "cannot accept a connection; trying again");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, tcp: TcpStream, from: SocketAddr) {
    let (fault, stranger) = shared.with(|book| {
        book.counts.connected(Instant::now());
        let white_list = book.settings.edge.white_list.as_ref();
        let list = white_list.filter(|list| !list.allow.contains(&from.ip()));
        (book.faults.new_connections, list.map(|list| list.others))
    });
    match fault {
        _ if stranger == Some(Others::Reset) => return socket::reset_on_drop(&tcp),
        NewConnections::Accept | NewConnections::CloseAfterTls => {}
        NewConnections::Refuse => return socket::reset_on_drop(&tcp),
        NewConnections::Hang => {
            shared
                .until(|book| (book.faults.new_connections != NewConnections::Hang).then_some(()))
                .await;
            return socket::reset_on_drop(&tcp);
        }
    }
    let _ = tcp.set_nodelay(true);
    let stream = match shared.serving() {
        None => Stream::plain(tcp),
        Some(serving) => match timeout(TLS_WAIT, Box::pin(handshake(serving, tcp))).await {
            Ok(Ok(Some(stream))) => stream,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return tracing::debug!(error.message = %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!("TLS handshake timed out"),
        },
    };
    if fault == NewConnections::CloseAfterTls {
        return stream.close().await;
    }
    http::serve(shared, stream, stranger.is_some()).await;
}

/// `None` if the connection was dealt with.
async fn handshake(serving: Serving, tcp: TcpStream) -> io::Result<Option<Stream>> {
    if !hello::is_tls(&tcp).await? {
        http::refuse_plain(tcp).await;
        return Ok(None);
    }
    if serving.setup.versions == TlsVersions::TooOld {
        hello::refuse_versions(tcp).await?;
        return Ok(None);
    }
    serving
        .acceptor
        .accept(tcp)
        .await
        .map(|tls| Some(Stream::tls(tls)))
}
