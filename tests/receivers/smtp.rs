//! A mail server that remembers what it got. It speaks what a client of SMTP needs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;

use super::listener::Listener;
use super::tls::{Connection, accepted, encrypted};

/// A mail as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// What the client said of itself: the line of `AUTH`.
    pub(crate) login: String,
    /// Head and text.
    pub(crate) data: String,
    /// Whether it came by TLS.
    pub(crate) encrypted: bool,
}

/// How the connection is encrypted.
#[derive(Debug, Clone)]
pub(crate) enum MailSecurity {
    None,
    /// Once the client asks for it.
    StartTls(Arc<ServerConfig>),
    /// From its beginning.
    Tls(Arc<ServerConfig>),
}

#[derive(Debug, Default)]
struct Memory {
    mails: Mutex<Vec<Mail>>,
    /// Whether every password is wrong.
    refuses: AtomicBool,
}

/// A server that runs until this value is dropped.
#[derive(Debug)]
pub(crate) struct MailReceiver {
    listener: Listener,
    memory: Arc<Memory>,
}

impl MailReceiver {
    pub(crate) fn start() -> Self {
        Self::start_with(MailSecurity::None)
    }

    pub(crate) fn start_with(security: MailSecurity) -> Self {
        let memory = Arc::new(Memory::default());
        let seen = Arc::clone(&memory);
        let listener = Listener::start(move |stream| {
            serve(stream, &security, &seen).unwrap_or_default();
        });
        Self { listener, memory }
    }

    pub(crate) fn address(&self) -> String {
        self.listener.address.to_string()
    }

    /// From now on every password is wrong, and the answer repeats what was sent.
    pub(crate) fn refuse_passwords(&self) {
        self.memory.refuses.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.memory.mails.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, security: &MailSecurity, memory: &Memory) -> Option<()> {
    let (connection, offered) = match security {
        MailSecurity::None => (accepted(None, stream), None),
        MailSecurity::StartTls(config) => (accepted(None, stream), Some(config)),
        MailSecurity::Tls(config) => (encrypted(config, stream), None),
    };
    let mut mail = Mail { encrypted: matches!(security, MailSecurity::Tls(_)), ..Mail::default() };
    let mut peer = BufReader::new(connection);
    say(&mut peer, "220 it.test ESMTP")?;
    loop {
        let line = hear(&mut peer)?;
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" if offered.is_some() && !mail.encrypted => {
                "250-it.test\r\n250 STARTTLS".to_owned()
            }
            "EHLO" => "250-it.test\r\n250 AUTH PLAIN".to_owned(),
            "STARTTLS" => {
                say(&mut peer, "220 go on")?;
                peer = BufReader::new(encrypted(offered?, peer.into_inner()));
                mail.encrypted = true;
                continue;
            }
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
                mail.data = hear_data(&mut peer)?;
                let encrypted = mail.encrypted;
                memory.mails.lock().unwrap().push(std::mem::take(&mut mail));
                mail.encrypted = encrypted;
                "250 queued".to_owned()
            }
            "QUIT" => {
                say(&mut peer, "221 bye")?;
                return Some(());
            }
            _ => "250 ok".to_owned(),
        };
        say(&mut peer, &answer)?;
    }
}

fn say(peer: &mut BufReader<Box<dyn Connection>>, answer: &str) -> Option<()> {
    let connection = peer.get_mut();
    connection.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
    connection.flush().ok()
}

/// Head and text of a mail.
fn hear_data(peer: &mut BufReader<Box<dyn Connection>>) -> Option<String> {
    say(peer, "354 go on")?;
    let mut data = Vec::new();
    loop {
        let line = hear(peer)?;
        if line == "." {
            return Some(data.join("\n"));
        }
        // A dot at the beginning of a line was doubled on its way.
        data.push(line.strip_prefix('.').map_or_else(|| line.clone(), str::to_owned));
    }
}

/// The next line, without its end; `None` once there is none.
fn hear(peer: &mut BufReader<Box<dyn Connection>>) -> Option<String> {
    let mut line = String::new();
    (peer.read_line(&mut line).ok()? > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
