//! A small HTTP server whose answers the test makes: for what no real server does at will, as asking to be left alone.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct FakeRequest {
    /// `GET`, `PUT`, `PROPFIND`.
    pub method: String,
    /// The path as it was written, still encoded, without the query.
    pub path: String,
    /// The query as it was written, without its question mark.
    pub query: String,
    /// The headers, their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl FakeRequest {
    /// Returns a header; its name is written in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns a value of the query, decoded.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
    }
}

/// What is answered to a request.
#[derive(Clone, Debug, Default)]
pub struct FakeAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: bool,
}

impl FakeAnswer {
    /// Answers with a status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Closes the connection after half of the body.
    #[must_use]
    pub const fn cut(mut self) -> Self {
        self.cut = true;
        self
    }
}

/// Decodes `%41` and its like.
#[must_use]
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).expect("encoded text is UTF-8")
}

type Answer = dyn Fn(&FakeRequest) -> FakeAnswer + Send + Sync;

/// A running server; it takes no connection any more when dropped.
#[derive(Debug)]
pub struct HttpFake {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl HttpFake {
    /// Starts a server on a free loopback port that answers each request with what the function returns.
    #[must_use]
    pub fn start(answer: impl Fn(&FakeRequest) -> FakeAnswer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("the port just bound");
        let ended = Arc::new(AtomicBool::new(false));
        let (answer, stop): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    let _ = serve(&stream, &*answer);
                });
            }
        });
        Self { address, ended }
    }

    /// Returns the beginning of every URL of it: `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HttpFake {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the one that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

/// Serves one connection until the client closes it.
fn serve(stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader, stream)? {
        let FakeAnswer { status, headers, body, cut } = answer(&request);
        let mut head = format!("HTTP/1.1 {status} {status}\r\n");
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // The length that a HEAD is answered with is that of the object.
        let says_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if !says_length && status != 204 && status != 304 {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let mut writer = stream;
        writer.write_all(format!("{head}\r\n").as_bytes())?;
        if cut {
            return writer.write_all(&body[..body.len() / 2]);
        }
        if request.method != "HEAD" {
            writer.write_all(&body)?;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<&TcpStream>, stream: &TcpStream) -> io::Result<Option<FakeRequest>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request =
        FakeRequest { method, path: path.to_owned(), query: query.to_owned(), ..FakeRequest::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if request.header("expect").is_some() {
        let mut writer = stream;
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
