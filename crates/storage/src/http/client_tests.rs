//! A client against servers of a few lines, which do what real ones do on a bad day.

use super::{Attempt, Client};
use crate::connect::ConnectorSettings;
use crate::error::{StorageError, StorageErrorKind};
use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_millis(400);

fn client() -> Client {
    Client::new(&ConnectorSettings { stalled_after: Some(PATIENCE), ..ConnectorSettings::default() }).unwrap()
}

/// Serves one connection with what is given, and returns the address of the server.
async fn serve<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    format!("http://{address}/object")
}

/// Reads until a request's head is complete, and no further than the system hands over at once.
async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0, "the client hung up");
        head.extend_from_slice(&buffer[..length]);
    }
}

async fn ask(url: &str, body: Bytes) -> Result<Bytes, StorageError> {
    let attempt = Attempt::new("write", "object", "the server");
    let request = http::Request::put(url).body(body).unwrap();
    client().send(&attempt, request).await?.bytes(&attempt, 1 << 30).await
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_after_the_time_in_which_no_byte_moved() {
    let url = serve(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = ask(&url, Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unavailable);
    assert!(error.to_string().contains("did not move a byte for 0.4 s"), "{error}");
}

#[tokio::test]
async fn an_answer_that_comes_slowly_but_steadily_may_take_longer_than_any_pause_may() {
    let url = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await.unwrap();
        for byte in 0..10_u8 {
            tokio::time::sleep(PATIENCE / 4).await;
            stream.write_all(&[byte]).await.unwrap();
        }
    })
    .await;
    assert_eq!(ask(&url, Bytes::new()).await.unwrap().len(), 10);
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_given_up() {
    let url = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(ask(&url, Bytes::new()).await.unwrap_err().kind, StorageErrorKind::Unavailable);
}

#[tokio::test]
async fn an_upload_that_is_taken_slowly_may_last_longer_than_any_pause_may() {
    const LENGTH: usize = 24 << 20;
    let url = serve(|mut stream| async move {
        let mut buffer = vec![0; 1 << 20];
        let (mut taken, mut pauses) = (0, 0);
        while taken < LENGTH {
            taken += stream.read(&mut buffer).await.unwrap();
            if taken / (3 << 20) > pauses {
                pauses += 1;
                tokio::time::sleep(PATIENCE / 2).await;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    ask(&url, Bytes::from(vec![7; LENGTH])).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_nobody_takes_is_given_up() {
    let url = serve(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = ask(&url, Bytes::from(vec![7; 64 << 20])).await.unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unavailable);
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_is_an_error_that_may_pass() {
    let url = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let error = ask(&url, Bytes::new()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("broke"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ask(&format!("http://{address}/"), Bytes::new()).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(
        error.to_string().contains(&format!("{address} cannot be reached: connection refused")),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_named() {
    // No label of a name may be so long, so that nobody beyond this machine needs to be asked.
    let host = format!("{}.invalid", "x".repeat(64));
    let error = ask(&format!("http://{host}/"), Bytes::new()).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains(&format!("the name of {host} cannot be resolved")), "{error}");
}

#[tokio::test]
async fn an_answer_larger_than_allowed_is_not_taken_into_memory() {
    let url = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789").await.unwrap();
    })
    .await;
    let attempt = Attempt::new("read", "object", "the server");
    let answer = client().send(&attempt, http::Request::get(url).body(Bytes::new()).unwrap()).await.unwrap();
    assert_eq!(answer.bytes(&attempt, 9).await.unwrap_err().kind, StorageErrorKind::Damaged);
}

#[test]
fn a_certificate_that_is_none_is_refused_at_once() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let settings =
            ConnectorSettings { root_certificates: vec![pem.into()], ..ConnectorSettings::default() };
        assert_eq!(Client::new(&settings).unwrap_err().kind, StorageErrorKind::Invalid, "{pem}");
    }
}
