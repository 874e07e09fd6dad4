//! What the API is compared with: an actix-web handler that only returns prepared bytes, with as many workers
//! as the server has. The bench runs it as a child process: `peers bare FILE WORKERS`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use actix_web::rt::System;
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};

use super::Outcome;

/// Serves the bytes of `file` on a free port, which it prints, until it is killed.
pub(crate) fn serve(file: &Path, workers: usize) -> Outcome<()> {
    let body = Bytes::from(std::fs::read(file)?);
    let server = HttpServer::new(move || {
        let body = body.clone();
        let answer = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new().default_service(web::to(answer))
    })
    .workers(workers)
    .bind("127.0.0.1:0")?;
    for address in server.addrs() {
        println!("{address}");
    }
    System::new().block_on(server.run())?;
    Ok(())
}

/// A running handler.
#[derive(Debug)]
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Bare {
    /// Starts this program again, as a handler that returns `body`.
    pub(crate) fn start(folder: &Path, body: &[u8], workers: usize) -> Outcome<Self> {
        let file = folder.join("bare.json");
        #[expect(clippy::disallowed_methods, reason = "a file of the bench's own")]
        std::fs::write(&file, body)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bare")
            .arg(&file)
            .arg(workers.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }
}
