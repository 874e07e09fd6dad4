//! Channels: where messages go.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::domain::DeliveryId;
use crate::policy::Message;

use super::{Authorities, Command, Credential, Email, Result, Service};
use super::{http, request};

/// A channel of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub name: String,
    pub target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Service(Address),
    Email(Email),
    Command(Command),
}

/// Where a service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub service: Service,
    pub url: Credential,
    pub token: Option<Credential>,
    pub authorities: Authorities,
}

impl Channel {
    /// Checks what can be checked without sending anything: files, addresses, the program.
    pub fn check(&self) -> Result<()> {
        match &self.target {
            Target::Service(address) => {
                if let Some(token) = address.token.as_ref().filter(|it| !it.is_elsewhere()) {
                    token.read()?;
                }
                address.authorities.check()?;
                if address.url.is_elsewhere() {
                    return Ok(());
                }
                request::check_url(address.service, &address.url.read()?)
            }
            Target::Email(email) => email.check(),
            Target::Command(command) => command.check(),
        }
    }

    /// Whether each instance has a monitor of its own behind it.
    pub fn is_per_instance(&self) -> bool {
        match &self.target {
            Target::Service(address) => {
                address.url.read().is_ok_and(|it| it.reveal().contains(request::INSTANCE))
            }
            Target::Email(_) | Target::Command(_) => false,
        }
    }

    /// Whether it stands for a state, well or not, rather than for messages.
    pub const fn is_monitor(&self) -> bool {
        matches!(&self.target, Target::Service(Address { service: Service::Healthchecks, .. }))
    }

    /// Sends a message and waits for the receiver's answer, which is returned. `all_well`: for a monitor, whether
    /// nothing that it stands for is wrong.
    pub fn send(&self, id: DeliveryId, message: &Message, all_well: bool) -> Result<String> {
        match &self.target {
            Target::Service(address) => {
                let url = address.url.read()?;
                let token = address.token.as_ref().map(Credential::read).transpose()?;
                let service = address.service;
                match request::of(service, &url, token.as_ref(), (id, message, all_well))? {
                    Some(request) => {
                        let secrets = [Some(&url), token.as_ref()];
                        http::send(service, request, &secrets, &address.authorities)
                    }
                    None => Ok("there is nothing to say to this monitor".to_owned()),
                }
            }
            Target::Email(email) => email.send(id, message),
            Target::Command(command) => command.run(id, message),
        }
    }
}

/// The channels of the configuration as it is now.
#[derive(Debug, Default)]
pub struct Channels(RwLock<Arc<Vec<Channel>>>);

impl Channels {
    pub fn new(channels: Vec<Channel>) -> Self {
        Self(RwLock::new(Arc::new(channels)))
    }

    pub fn set(&self, channels: Vec<Channel>) {
        *self.0.write() = Arc::new(channels);
    }

    pub fn all(&self) -> Arc<Vec<Channel>> {
        Arc::clone(&self.0.read())
    }

    pub fn names(&self) -> Vec<String> {
        self.all().iter().map(|it| it.name.clone()).collect()
    }
}
