//! A TCP proxy that can stop reading from the server, with small buffers, so that the server notices.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinSet;

const SLOW_READ_BYTES: usize = 4096;

/// Forwards one connection. Dropping it cuts the connection.
pub(crate) struct SlowLink {
    /// The server's URL through the proxy.
    pub(crate) url: String,
    reading: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl SlowLink {
    pub(crate) async fn open(url: &str) -> io::Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
        let (host, path) = rest.find(['/', '?']).map_or((rest, ""), |end| rest.split_at(end));
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let upstream = lookup_host(&host).await?.next().ok_or_else(|| io::Error::other("no address"))?;

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{scheme}://{}{path}", listener.local_addr()?);
        let (reading, gate) = watch::channel(true);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(carry(listener, upstream, gate).await) });
        Ok(Self { url, reading, _tasks: tasks })
    }

    /// Sets whether the server's data is read.
    pub(crate) fn read(&self, on: bool) {
        self.reading.send_replace(on);
    }
}

async fn carry(listener: TcpListener, upstream: SocketAddr, gate: watch::Receiver<bool>) -> io::Result<()> {
    let (near, _) = listener.accept().await?;
    let far = connect(upstream).await?;
    let (from_consumer, to_consumer) = near.into_split();
    let (from_server, to_server) = far.into_split();
    let (_open, always) = watch::channel(true);
    tokio::try_join!(pump(from_consumer, to_server, always), pump(from_server, to_consumer, gate))?;
    Ok(())
}

async fn connect(upstream: SocketAddr) -> io::Result<TcpStream> {
    let socket = if upstream.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(SLOW_READ_BYTES as u32)?;
    socket.connect(upstream).await
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut gate: watch::Receiver<bool>) -> io::Result<()> {
    let mut buffer = [0; SLOW_READ_BYTES];
    loop {
        gate.wait_for(|open| *open).await.map_err(io::Error::other)?;
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}
