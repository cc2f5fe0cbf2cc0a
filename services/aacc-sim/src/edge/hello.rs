//! The first bytes on a port that speaks TLS.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The first byte of every TLS client.
const HANDSHAKE: u8 = 22;
/// The fatal alert `protocol_version` in a TLS 1.0 record.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Whether the client speaks TLS. Waits for its first byte, which stays unread.
pub(super) async fn is_tls(tcp: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match tcp.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0] == HANDSHAKE),
    }
}

/// Reads the client's hello and answers as a server does that speaks none of the offered versions.
pub(super) async fn refuse_versions(mut tcp: TcpStream) -> io::Result<()> {
    let mut header = [0; 5];
    tcp.read_exact(&mut header).await?;
    let length = u16::from_be_bytes([header[3], header[4]]);
    let mut hello = (&mut tcp).take(length.into());
    tokio::io::copy(&mut hello, &mut tokio::io::sink()).await?;
    tcp.write_all(&PROTOCOL_VERSION).await?;
    tcp.shutdown().await?;
    // What is left unread would turn the close into a reset, and the alert could be lost.
    let _ = timeout(CLOSE_WAIT, tokio::io::copy(&mut tcp, &mut tokio::io::sink())).await;
    Ok(())
}
