//! Answers over a real connection, where the HTTP library's part matters.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::support::{A1, Fixture};
use actix_web::{App, HttpServer, rt};
use coffer::api;

/// Serves until the test ends.
fn serve(fixture: &Fixture) -> SocketAddr {
    let state = fixture.state.clone();
    let server = HttpServer::new(move || {
        App::new().wrap(api::request_id()).configure(api::routes(state.clone()))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    drop(rt::spawn(server.run()));
    address
}

/// Head and body of the answer to one request.
async fn send(address: SocketAddr, request: String) -> (String, Vec<u8>) {
    let exchange = rt::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let headers = "Host: it\r\nX-Auth-Token: alice-secret\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{request} HTTP/1.1\r\n{headers}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    });
    let answer = exchange.await.unwrap();
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
    (head, answer[end + 4..].to_vec())
}

#[actix_web::test]
async fn a_large_archive_is_sent_completely_and_head_gives_only_its_length() {
    let fixture = Fixture::new();
    let archive: Vec<u8> = (0_u32..500_000).flat_map(u32::to_le_bytes).collect();
    let id = fixture.create_backup("alice", "project-a", A1, "large").await;
    fixture.run_jobs(&archive);
    let address = serve(&fixture);
    let path = format!("/v1.0/project-a/backups/{id}/archive");
    let length = format!("content-length: {}", archive.len());
    let (head, body) = send(address, format!("GET {path}")).await;
    assert!(head.starts_with("http/1.1 200") && head.contains(&length), "{head}");
    assert!(body == archive, "{} bytes", body.len());
    let (head, body) = send(address, format!("HEAD {path}")).await;
    assert!(head.starts_with("http/1.1 200") && head.contains(&length), "{head}");
    assert!(body.is_empty());
}

#[actix_web::test]
async fn a_refused_head_request_has_the_length_of_the_error_and_no_body() {
    let fixture = Fixture::new();
    let address = serve(&fixture);
    let (get, envelope) = send(address, "GET /nothing".to_owned()).await;
    assert!(get.starts_with("http/1.1 404"), "{get}");
    let (head, body) = send(address, "HEAD /nothing".to_owned()).await;
    assert!(head.contains(&format!("content-length: {}", envelope.len())), "{head}");
    assert!(body.is_empty() && !envelope.is_empty());
}
