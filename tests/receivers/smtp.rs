//! A mail server that remembers what it got. It speaks what a client of SMTP needs, without encryption.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A mail as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// What the client said of itself: the line of `AUTH`.
    pub(crate) login: String,
    /// Head and text.
    pub(crate) data: String,
}

#[derive(Debug, Default)]
struct Memory {
    mails: Mutex<Vec<Mail>>,
    /// Whether every password is wrong.
    refuses: AtomicBool,
    stopping: AtomicBool,
}

/// A server that runs until this value is dropped.
#[derive(Debug)]
pub(crate) struct MailReceiver {
    address: SocketAddr,
    memory: Arc<Memory>,
}

impl MailReceiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Arc::new(Memory::default());
        let seen = Arc::clone(&memory);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.stopping.load(Ordering::SeqCst) {
                    return;
                }
                stream.ok().and_then(|it| serve(it, &seen)).unwrap_or_default();
            }
        });
        Self { address, memory }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on every password is wrong, and the answer repeats what was sent.
    pub(crate) fn refuse_passwords(&self) {
        self.memory.refuses.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.memory.mails.lock().unwrap().clone()
    }
}

impl Drop for MailReceiver {
    fn drop(&mut self) {
        self.memory.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, memory: &Memory) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    let mut mail = Mail::default();
    out.write_all(b"220 it.test ESMTP\r\n").ok()?;
    loop {
        let line = lines.next()?.ok()?;
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-it.test\r\n250 AUTH PLAIN".to_owned(),
            "AUTH" if memory.refuses.load(Ordering::SeqCst) => {
                format!("535 not with {line}")
            }
            "AUTH" => {
                mail.login = line;
                "235 welcome".to_owned()
            }
            "MAIL" => {
                mail.from = line;
                "250 ok".to_owned()
            }
            "RCPT" => {
                mail.to.push(line);
                "250 ok".to_owned()
            }
            "DATA" => {
                out.write_all(b"354 go on\r\n").ok()?;
                let mut data = Vec::new();
                loop {
                    let line = lines.next()?.ok()?;
                    if line == "." {
                        break;
                    }
                    data.push(line);
                }
                mail.data = data.join("\n");
                memory.mails.lock().unwrap().push(std::mem::take(&mut mail));
                "250 queued".to_owned()
            }
            "QUIT" => {
                out.write_all(b"221 bye\r\n").ok()?;
                return Some(());
            }
            _ => "250 ok".to_owned(),
        };
        out.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
    }
}
