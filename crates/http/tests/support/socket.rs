//! The smallest websocket client that hears what a server says.

use super::Running;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for a frame that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open websocket.
pub struct Socket(TcpStream);

/// What came.
#[derive(Debug)]
pub enum Frame {
    Text(String),
    Close,
}

impl Socket {
    /// Opens a websocket; returns the whole answer where the server does not want one.
    pub async fn open(server: &Running, path: &str, headers: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            server.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        if head.starts_with("HTTP/1.1 101") {
            assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the answer does not fit the key: {head}");
            return Ok(Self(stream));
        }
        Err(head)
    }

    /// Sends a text; a client must mask what it sends.
    pub async fn say(&mut self, text: &str) {
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 1, 2, 3, 4];
        frame.extend(text.bytes().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.write_all(&frame).await.unwrap();
    }

    /// Waits for the next frame that is no heartbeat.
    pub async fn frame(&mut self) -> Frame {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.next()).await.expect("nothing came");
            if !matches!(&frame, Frame::Text(text) if text.is_empty()) {
                return frame;
            }
        }
    }

    /// Waits for the next notification that fits.
    pub async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Frame::Text(text) = self.frame().await else { panic!("the server closed the line") };
            let value: Value = serde_json::from_str(&text).unwrap();
            if fits(&value) {
                return value;
            }
        }
    }

    async fn next(&mut self) -> Frame {
        let kind = self.0.read_u8().await.unwrap();
        let length = match self.0.read_u8().await.unwrap() {
            126 => u64::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        match kind & 0x0f {
            8 => Frame::Close,
            _ => Frame::Text(String::from_utf8(payload).unwrap()),
        }
    }
}
