//! HTTP/1.1 without a library: from an address of one's choice, as slowly as one likes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Connects from one of this machine's addresses; any that begins with 127 is.
pub async fn connect(from: Ipv4Addr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// What has come in and was not read yet.
    unread: Vec<u8>,
}

/// What the server says.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Raw {
    /// Opens it.
    pub async fn connect(from: Ipv4Addr, to: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { stream: connect(from, to).await?, unread: Vec::new() })
    }

    /// Sends a request with these headers, each a line, and reads the answer.
    pub async fn ask(&mut self, request: &str, headers: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let head = format!("{request} HTTP/1.1\r\nhost: server\r\n{headers}content-length: {}\r\n\r\n", body.len());
        self.stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).to_ascii_lowercase();
        self.unread.drain(..end + 4);
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let Some(length) = length else {
            anyhow::ensure!(head.contains("transfer-encoding: chunked"), "neither a length nor chunks: {head}");
            return Ok(Answer { status, body: self.chunks().await? });
        };
        let length = length.parse()?;
        while self.unread.len() < length {
            self.more().await?;
        }
        Ok(Answer { status, body: self.unread.drain(..length).collect() })
    }

    async fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.unread.windows(2).position(|two| two == b"\r\n") {
                    break at;
                }
                self.more().await?;
            };
            let length = usize::from_str_radix(std::str::from_utf8(&self.unread[..end])?, 16)?;
            while self.unread.len() < end + 2 + length + 2 {
                self.more().await?;
            }
            body.extend_from_slice(&self.unread[end + 2..end + 2 + length]);
            self.unread.drain(..end + 2 + length + 2);
            if length == 0 {
                return Ok(body);
            }
        }
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        let mut part = vec![0; 16 << 10];
        let read = self.stream.read(&mut part).await?;
        anyhow::ensure!(read > 0, "closed");
        self.unread.extend_from_slice(&part[..read]);
        Ok(())
    }
}
