//! E-mail, by SMTP.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::error::Error as MailError;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message as Mail, SmtpTransport, Transport as _};

use crate::domain::{DeliveryId, Secret, with_causes};
use crate::policy::Message;

use super::{Authorities, Credential, NotifyError, Result, request};

/// How long the server may take for each step.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// From its beginning.
    Tls,
    /// Before anything is said; a server that does not offer it gets nothing.
    StartTls,
    /// Not at all.
    None,
}

impl Security {
    const fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

/// Where e-mail is sent from and to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    server: String,
    port: u16,
    from: Mailbox,
    to: Mailboxes,
    security: Security,
    /// The user's name and password.
    login: Option<(String, Credential)>,
    authorities: Authorities,
}

impl Email {
    /// By this server, such as `mail.example.org:587`, from this address and to these, which commas part.
    pub fn new(
        server: &str,
        security: Security,
        from: &str,
        to: &str,
        login: Option<(String, Credential)>,
    ) -> Result<Self> {
        let wrong = |key: &str, why: String| NotifyError::Settings(format!("email.{key} {why}"));
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => {
                let port = port.parse().ok().filter(|it| *it > 0);
                (host, port.ok_or_else(|| wrong("smtp", format!("is {server:?}; use HOST:PORT")))?)
            }
            _ => (server, security.port()),
        };
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(wrong("smtp", format!("is {server:?}; use HOST:PORT")));
        }
        let from = from.parse().map_err(|error| wrong("from", format!("is {from:?}: {error}")))?;
        let to: Mailboxes =
            to.parse().map_err(|error| wrong("to", format!("is {to:?}: {error}")))?;
        if to.iter().next().is_none() {
            return Err(wrong("to", "names nobody".to_owned()));
        }
        let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if login.is_some() && security == Security::None && !is_local {
            let why = "would send the password unencrypted; use tls = \"starttls\" or \"tls\"";
            return Err(wrong("tls", why.to_owned()));
        }
        let server = host.trim_matches(['[', ']']).to_owned();
        let authorities = Authorities::default();
        Ok(Self { server, port, from, to, security, login, authorities })
    }

    /// The same, with a server whose certificate one of these has signed.
    #[must_use]
    pub fn trusting(self, authorities: Authorities) -> Self {
        Self { authorities, ..self }
    }

    /// Whether the password and the certificates can be read.
    pub(super) fn check(&self) -> Result<()> {
        self.authorities.check()?;
        match &self.login {
            Some((_user, password)) if !password.is_elsewhere() => password.read().map(drop),
            _ => Ok(()),
        }
    }

    pub(super) fn send(&self, id: DeliveryId, message: &Message) -> Result<String> {
        let mail = self.mail(id, message)?;
        let answer = self.transport()?.send(&mail);
        let answer = answer.map_err(|error| self.failed(&error))?;
        Ok(format!("the mail server answered {}", answer.code()))
    }

    fn mail(&self, id: DeliveryId, message: &Message) -> Result<Mail> {
        let failed = |error: MailError| NotifyError::Mail(error.to_string());
        let mut mail = Mail::builder()
            .from(self.from.clone())
            // The same at another attempt, so that mail programs show it once.
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .subject(request::title(message))
            .header(ContentType::TEXT_PLAIN);
        for to in self.to.iter() {
            mail = mail.to(to.clone());
        }
        let to = self.to.iter().map(|it| it.email.clone()).collect();
        let envelope = Envelope::new(Some(self.from.email.clone()), to).map_err(failed)?;
        mail.envelope(envelope).body(request::body(message)).map_err(failed)
    }

    fn transport(&self) -> Result<SmtpTransport> {
        let parameters = || {
            let found = self.authorities.certificates()?;
            let store = if found.is_empty() {
                CertificateStore::WebpkiRoots
            } else {
                CertificateStore::None
            };
            let mut builder = TlsParameters::builder(self.server.clone()).certificate_store(store);
            for it in found {
                let certificate = Certificate::from_der(it).map_err(|error| self.failed(&error))?;
                builder = builder.add_root_certificate(certificate);
            }
            builder.build().map_err(|error| self.failed(&error))
        };
        let tls = match self.security {
            Security::Tls => Tls::Wrapper(parameters()?),
            Security::StartTls => Tls::Required(parameters()?),
            Security::None => Tls::None,
        };
        let mut transport = SmtpTransport::builder_dangerous(&self.server)
            .port(self.port)
            .tls(tls)
            .timeout(Some(TIMEOUT))
            .hello_name(ClientId::Domain(request::host()));
        if let Some((user, password)) = &self.login {
            let password = password.read()?.reveal().to_owned();
            transport = transport.credentials(Credentials::new(user.clone(), password));
        }
        Ok(transport.build())
    }

    /// What the server said, without the password that it may repeat as it came.
    fn failed(&self, error: &SmtpError) -> NotifyError {
        let mut text = with_causes(error);
        if let Some((user, password)) = &self.login
            && let Ok(password) = password.read()
        {
            let password = password.reveal();
            let plain = STANDARD.encode(format!("\0{user}\0{password}"));
            for sent in [plain, STANDARD.encode(password), password.to_owned()] {
                text = Secret::new(sent).redact(&text);
            }
        }
        NotifyError::Mail(text)
    }
}
