//! A login service that answers as Keystone's v3 API does, in front of a real Swift: the tokens that it gives out are those
//! of Swift's own login, and its catalog says where Swift is.
//!
//! A test includes this file with `#[path = "servers/keystone.rs"]`; it needs nothing else of the project.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The secret of the user `coffer` and of the application credential `app`.
pub(crate) const SECRET: &str = "s3cr\"et";

/// A running service. Its thread ends with the process.
#[derive(Debug)]
pub(crate) struct Keystone {
    base: String,
    /// How each login was made, and whether it was taken.
    logins: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Keystone {
    /// One for the Swift whose own login is at this address, with this user and key. The first token is one that Swift does
    /// not take, like one that has run out.
    pub(crate) fn before(swift: &str, user: [&'static str; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let logins = Arc::<Mutex<Vec<_>>>::default();
        let (swift, made) = (swift.to_owned(), Arc::clone(&logins));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Whoever asks notices that the connection broke.
                drop(answer(&client, &made, &swift, user));
            }
        });
        Self { base, logins }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn logins(&self) -> Vec<(String, bool)> {
        self.logins.lock().unwrap().clone()
    }
}

/// How this login is made, if it is one that is known.
fn taken(asked: &Value) -> Option<&'static str> {
    let (auth, default) = (&asked["auth"], json!({ "id": "default" }));
    let identity = &auth["identity"];
    if identity["methods"] == json!(["application_credential"]) {
        let known = json!({ "id": "app", "secret": SECRET });
        // Keystone refuses one with a scope.
        let is_it = identity["application_credential"] == known && auth.get("scope").is_none();
        return is_it.then_some("application");
    }
    let known = json!({ "name": "coffer", "password": SECRET, "domain": default });
    let is_it = identity["methods"] == json!(["password"])
        && identity["password"]["user"] == known
        && auth["scope"]["project"] == json!({ "name": "backups", "domain": default });
    is_it.then_some("password")
}

fn answer(
    mut client: &TcpStream,
    logins: &Mutex<Vec<(String, bool)>>,
    swift: &str,
    [user, key]: [&str; 2],
) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length: u64 = header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_json = header("content-type").as_deref() == Some("application/json");
    let (status, more, text) = if !head.starts_with("POST /v3/auth/tokens HTTP/1.1\r\n") || !is_json
    {
        ("404 Not Found", String::new(), json!({ "error": { "code": 404, "title": "Not Found" } }))
    } else if let Some(how) = taken(&asked) {
        let login = ureq::get(swift).header("x-auth-user", user).header("x-auth-key", key);
        let found = login.call().map_err(io::Error::other)?;
        let of_swift = |name: &str| found.headers()[name].to_str().unwrap().to_owned();
        let mut logins = logins.lock().unwrap();
        let token = if logins.is_empty() { "gone".to_owned() } else { of_swift("x-auth-token") };
        logins.push((how.to_owned(), true));
        let text = described(&of_swift("x-storage-url"));
        ("201 Created", format!("X-Subject-Token: {token}\r\n"), text)
    } else {
        logins.lock().unwrap().push((asked["auth"]["identity"]["methods"].to_string(), false));
        let message = "The request you have made requires authentication.";
        let error = json!({ "code": 401, "message": message, "title": "Unauthorized" });
        ("401 Unauthorized", String::new(), json!({ "error": error }))
    };
    let text = text.to_string();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}Connection: close\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// A token with a catalog in which the store is one of several.
fn described(store: &str) -> Value {
    let endpoint = |interface: &str, region: &str, url: &str| json!({ "id": "e", "interface": interface, "region": region, "region_id": region, "url": url });
    let nobody = "http://127.0.0.1:9/v1/AUTH_test";
    let store = format!("{store}/");
    json!({ "token": {
        "methods": ["password"], "expires_at": "2999-01-01T00:00:00.000000Z", "user": { "name": "coffer" },
        "catalog": [
            { "type": "identity", "name": "keystone", "id": "a", "endpoints": [endpoint("public", "two", nobody)] },
            { "type": "object-store", "name": "swift", "id": "b", "endpoints": [
                endpoint("public", "one", nobody),
                endpoint("internal", "two", nobody),
                endpoint("admin", "two", nobody),
                endpoint("public", "two", &store),
            ] },
        ],
    } })
}
