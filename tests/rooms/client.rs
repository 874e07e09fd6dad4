//! The client's requests, and its errors.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use coffer::client::{Client, Connection};
use coffer::domain::BackupId;

/// A server that gives this answer to the only request it takes, and gives back that request.
fn server(answer: impl Into<String>) -> (String, thread::JoinHandle<String>) {
    let (listener, answer) = (TcpListener::bind("127.0.0.1:0").unwrap(), answer.into());
    let base = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (base, served)
}

fn client(base: &str) -> Client {
    Client::new(Connection::new(base).with_token("a-secret"), "project-a".parse().unwrap())
}

#[test]
fn a_refusal_is_an_error_with_the_servers_sentence() {
    let (base, served) = server(
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n\
         {\"itemNotFound\": {\"code\": 404, \"message\": \"Resource x cannot be found.\"}}",
    );
    let id = BackupId::generate();
    let error = client(&base).backup(id).unwrap_err();
    assert!(error.is_not_found());
    let expected =
        format!("GET /v1.0/project-a/backups/{id}: Resource x cannot be found. (status 404)");
    assert_eq!(error.to_string(), expected);
    assert!(served.join().unwrap().to_ascii_lowercase().contains("x-auth-token: a-secret"));
}

#[test]
fn the_health_of_many_thousand_instances_is_read_whole() {
    let problem = r#"{"kind":"missed","severity":"critical","instance_id":null,"since":"2026-01-01T00:00:00","message":"it is","advice":"do"}"#;
    let problems = vec![problem; 120_000].join(",");
    let body = format!(
        r#"{{"health":{{"state":"critical","problems":[{problems}],"notices":[],"instances":[],"disk":null,"places":[]}}}}"#
    );
    assert!(body.len() > 10 << 20, "{}", body.len());
    let length = body.len();
    let (base, served) =
        server(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"));
    let health = client(&base).project_health(true).unwrap();
    assert_eq!(health.problems.len(), 120_000);
    served.join().unwrap();
}

#[test]
fn neither_errors_nor_debug_output_show_the_token() {
    let client = client("http://127.0.0.1:9");
    let error = client.instances().unwrap_err();
    for shown in [format!("{error} {error:?}"), format!("{client:?}")] {
        assert!(shown.contains("127.0.0.1") || shown.contains("instances"), "{shown}");
        assert!(!shown.contains("a-secret"), "{shown}");
    }
}
