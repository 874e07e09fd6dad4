//! Where the commands get their answers: from a server, or from the catalog on this machine.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::cli::error::CommandError;
use crate::client::{Client, ClientError, Connection};
use crate::config::{AuthMode, Config};
use crate::domain::{BackupId, InstanceId, ProjectId};
use crate::executor::Context;
use crate::server;
use crate::wire::{BackupView, InstanceView};

use super::selector::{Candidate, Selector};

/// The server to ask, as a URL. Without it, the one of the configuration.
const URL: &str = "COFFER_URL";
/// The token to send. Without it, the one in the data directory.
const TOKEN: &str = "COFFER_TOKEN";
/// The project to ask about. Without it, `default`; with the token of the data directory, every project.
const PROJECT: &str = "COFFER_PROJECT";

/// Where answers come from.
pub(super) enum Origin {
    /// A server, with what to call it in errors.
    Server(Server),
    /// The catalog, because no server runs here.
    Catalog(Box<Context>, String),
}

/// A server that answers.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) url: String,
    /// Whether it is asked about every project.
    every_project: bool,
}

/// An instance, as far as lists need it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) id: InstanceId,
    pub(super) name: String,
    pub(super) engine: String,
    pub(super) project: ProjectId,
    pub(super) status: String,
}

impl Origin {
    /// For commands that only read: the server, or the catalog if no server answers.
    pub(super) fn open(config: &Config) -> Result<Self, CommandError> {
        if let Some(server) = connect(config)? {
            return Ok(Self::Server(server));
        }
        let context = server::open_existing(config)?;
        Ok(Self::Catalog(Box::new(context), config.catalog_file().display().to_string()))
    }

    pub(super) fn client(&self) -> Result<&Client, CommandError> {
        match self {
            Self::Server(server) => Ok(&server.client),
            Self::Catalog(..) => Err(CommandError::Failed("no server answers".to_owned())),
        }
    }

    /// For errors: `the server http://…` or `the catalog /…`.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Server(server) => format!("the server {}", server.url),
            Self::Catalog(_, file) => format!("the catalog {file}"),
        }
    }

    /// Every backup, or those of one instance, newest first.
    pub(super) fn backups(
        &self,
        instance: Option<InstanceId>,
    ) -> Result<Vec<BackupView>, CommandError> {
        match self {
            Self::Server(server) => Ok(server.client.backups(instance, server.every_project)?),
            Self::Catalog(context, _) => {
                let mut rows = context.catalog.every_backup()?;
                rows.retain(|row| instance.is_none_or(|id| row.instance == Some(id)));
                rows.reverse();
                Ok(rows.into_iter().map(|row| BackupView::new(row, &*context.local)).collect())
            }
        }
    }

    /// One backup.
    pub(super) fn backup(&self, id: BackupId) -> Result<BackupView, CommandError> {
        let found = match self {
            Self::Server(server) => server.client.backup(id).map_err(CommandError::from),
            Self::Catalog(context, _) => context
                .catalog
                .find(id)
                .map(|row| BackupView::new(row, &*context.local))
                .map_err(CommandError::from),
        };
        found.map_err(|error| error.not_found_in(id, &self.place()))
    }

    pub(super) fn instances(&self) -> Result<Vec<Named>, CommandError> {
        match self {
            Self::Server(server) => {
                let client = &server.client;
                let found = if server.every_project {
                    client.instances_of_every_project()?
                } else {
                    client.instances()?
                };
                Ok(found.into_iter().map(|it| Named::of_view(it, client.project())).collect())
            }
            Self::Catalog(context, _) => {
                let found = context.catalog.every_instance()?;
                Ok(found
                    .into_iter()
                    .map(|it| Named {
                        id: it.id,
                        name: it.name,
                        engine: it.datastore.engine,
                        project: it.project,
                        status: it.status.as_str().to_owned(),
                    })
                    .collect())
            }
        }
    }

    /// The names of the instances.
    pub(super) fn names(&self) -> Result<HashMap<InstanceId, String>, CommandError> {
        Ok(self.instances()?.into_iter().map(|it| (it.id, it.name)).collect())
    }

    /// The id of the backup that a selector means.
    pub(super) fn find(&self, selector: &Selector) -> Result<BackupId, CommandError> {
        let candidates = || {
            let names = self.names()?;
            let backups = self.backups(None)?;
            Ok(backups
                .into_iter()
                .map(|it| Candidate::new(it.id, it.name, it.instance_id, it.status, &names))
                .collect())
        };
        selector.find(candidates, &self.place())
    }

    /// The instance with this name or id.
    pub(super) fn instance(&self, wanted: &str) -> Result<Named, CommandError> {
        let found: Vec<_> = self
            .instances()?
            .into_iter()
            .filter(|it| it.name == wanted || it.id.to_string() == wanted)
            .collect();
        match <[Named; 1]>::try_from(found) {
            Ok([only]) => Ok(only),
            Err(none) if none.is_empty() => {
                Err(CommandError::NotFound(format!("{} has no instance {wanted:?}", self.place())))
            }
            Err(several) => {
                let ids: Vec<_> =
                    several.iter().map(|it| format!("{} ({})", it.id, it.project)).collect();
                Err(CommandError::Usage(format!(
                    "{wanted:?} is the name of several instances; name one by its id: {}",
                    ids.join(", ")
                )))
            }
        }
    }
}

impl Named {
    fn of_view(view: InstanceView, project: &ProjectId) -> Self {
        Self {
            id: view.id,
            name: view.name,
            engine: view.datastore.engine,
            project: view.tenant_id.unwrap_or_else(|| project.clone()),
            status: view.status.as_str().to_owned(),
        }
    }
}

/// For commands that change something: the server, which has to run.
pub(super) fn running_server(config: &Config) -> Result<Origin, CommandError> {
    connect(config)?.map(Origin::Server).ok_or_else(|| {
        CommandError::Failed(format!(
            "no server answers at {}; start it (systemctl start coffer, or coffer serve)",
            url(config)
        ))
    })
}

/// The server of this machine or of `COFFER_URL`, if it answers and there is a token for it.
fn connect(config: &Config) -> Result<Option<Server>, CommandError> {
    let url = url(config);
    let elsewhere = env::var_os(URL).is_some();
    let connection = Connection::new(&url);
    if let Err(error) = connection.send("GET", "/healthcheck", None) {
        let request = format!("GET {url}/healthcheck");
        let error = ClientError::NoAnswer { request, cause: error };
        return if elsewhere { Err(error.into()) } else { Ok(None) };
    }
    let named =
        env::var(TOKEN).ok().or_else(|| (config.auth.mode == AuthMode::None).then(String::new));
    let (token, from_file) = match named {
        Some(token) => (token, false),
        None => match fs::read_to_string(config.data_dir.join(server::ADMIN_TOKEN)) {
            Ok(secret) if !elsewhere => (secret.trim().to_owned(), true),
            _ if elsewhere => {
                return Err(CommandError::Usage(format!("{URL} is set; set {TOKEN} as well")));
            }
            // Whoever may not read the token may perhaps read the catalog.
            _ => return Ok(None),
        },
    };
    let project = match env::var(PROJECT) {
        Ok(project) => {
            project.parse().map_err(|error| CommandError::Usage(format!("{PROJECT}: {error}")))?
        }
        Err(_) => "default".parse().expect("a word is a project id"),
    };
    let every_project = from_file && env::var_os(PROJECT).is_none();
    let client = Client::new(connection.with_token(&token), project);
    Ok(Some(Server { client, url, every_project }))
}

/// Where the server is.
fn url(config: &Config) -> String {
    env::var(URL).unwrap_or_else(|_| format!("http://{}", reachable(config.server.listen)))
}

/// The address to connect to, for one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
