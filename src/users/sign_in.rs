//! Signing in, and what the tokens that come of it allow.

use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use sha2::{Digest as _, Sha256};

use crate::domain::{Caller, Clock, IssuedTokenSource, ProjectId, Secret, with_causes};

use super::hasher::Hasher;
use super::issued::{Hash, IssuedTokens};
use super::{
    Credential, Issued, Method, NewSecret, PasswordHash, Refused, User, UserList, UsersError,
};

/// Where the list of users is kept.
pub trait UserSource: Send + Sync + Debug {
    /// What changes when the list does; `None`: there is none.
    fn stamp(&self) -> Result<Option<Stamp>, Box<dyn Error + Send + Sync>>;

    /// Its text; `None`: there is none.
    fn read(&self) -> Result<Option<Vec<u8>>, Box<dyn Error + Send + Sync>>;
}

/// What is called with why the list cannot be read, and with `None` once it can.
pub type Report = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// Inode, time of change in nanoseconds, and size of the file.
pub type Stamp = (u64, i128, u64);

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a token lasts.
    pub token_lifetime: Duration,
    /// How old what is known of the list may be for a token. Whoever signs in is looked up in it as it is.
    pub recheck: Duration,
}

/// What somebody shows.
#[derive(Debug)]
pub enum Proof {
    Password { user: Who, password: Secret },
    Credential { which: WhichCredential, secret: Secret },
    Token(Secret),
}

/// A user, as clients name one.
#[derive(Debug)]
pub enum Who {
    Id(String),
    Name(String),
}

/// An application credential, as clients name one.
#[derive(Debug)]
pub enum WhichCredential {
    Id(String),
    /// By its name and its user.
    Named(String, Who),
}

/// What the token is to be for.
#[derive(Debug)]
pub enum Wanted {
    /// The user's own project.
    Home,
    Project(ProjectId),
    Nothing,
}

/// Who may sign in, and who has.
pub struct Users {
    source: Box<dyn UserSource>,
    report: Report,
    known: RwLock<Known>,
    issued: Mutex<IssuedTokens>,
    hasher: Hasher,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

impl Debug for Users {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Users").field("source", &self.source).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Known {
    list: Arc<UserList>,
    stamp: Option<Stamp>,
    checked: Option<Instant>,
    /// Why the list cannot be read, if that was reported.
    reported: Option<String>,
}

/// Whom a proof is of.
struct Proven {
    user: User,
    credential: Option<Credential>,
    methods: Vec<Method>,
    /// A token is exchanged for one that ends no later.
    of_token: Option<Arc<Issued>>,
}

impl Users {
    /// A list that cannot be read is reported, and then there are no users: backups go on.
    pub fn new(
        source: Box<dyn UserSource>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        report: Report,
    ) -> Self {
        let (known, issued, hasher) = Default::default();
        let users = Self { source, report, known, issued, hasher, clock, settings };
        users.known(Duration::ZERO);
        users
    }

    /// The users as they were so long ago at most.
    fn known(&self, age: Duration) -> Arc<UserList> {
        let is_fresh = |at: Instant| at.elapsed() < age;
        {
            let known = self.known.read();
            if known.checked.is_some_and(is_fresh) {
                return Arc::clone(&known.list);
            }
        }
        let mut known = self.known.write();
        let why = self.refresh(&mut known).err().map(|error| {
            let so = match known.stamp {
                Some(_) => "cannot be read again, so the users stay as they were",
                None => "cannot be read, so no user signs in",
            };
            format!("the list of users {so}: {}", with_causes(&error))
        });
        if why != known.reported {
            (self.report)(why.as_deref());
            known.reported = why;
        }
        known.checked = Some(Instant::now());
        Arc::clone(&known.list)
    }

    /// Whether the list can be read is reported, if that was not found out just before.
    pub fn look(&self) {
        self.known(self.settings.recheck);
    }

    fn refresh(&self, known: &mut Known) -> Result<(), UsersError> {
        let stamp = self.source.stamp().map_err(UsersError::Source)?;
        if stamp == known.stamp {
            return Ok(());
        }
        let text = self.source.read().map_err(UsersError::Source)?;
        let list = text.map_or_else(|| Ok(UserList::default()), |it| UserList::parse(&it))?;
        log::info!("users: {}", list.all().len());
        (known.list, known.stamp) = (Arc::new(list), stamp);
        Ok(())
    }

    /// Gives out a token. Whatever is wrong, the answer is the same and takes as long.
    pub async fn sign_in(
        &self,
        proof: Proof,
        wanted: Wanted,
    ) -> Result<(NewSecret, Arc<Issued>), Refused> {
        let proven = match proof {
            Proof::Password { user, password } => self.by_password(&user, password).await?,
            Proof::Credential { which, secret } => self.by_credential(&which, &secret)?,
            Proof::Token(secret) => self.by_token(&secret)?,
        };
        let Proven { user, credential, methods, of_token } = proven;
        let project = match wanted {
            Wanted::Nothing if credential.is_none() => None,
            Wanted::Home | Wanted::Nothing => Some(user.project_id.clone()),
            // A credential is for one project.
            Wanted::Project(project) if credential.is_some() && project != user.project_id => {
                return Err(Refused::NotKnown);
            }
            Wanted::Project(project) if user.may_enter(&project) => Some(project),
            Wanted::Project(_) => return Err(Refused::NotKnown),
        };
        let now = self.clock.now();
        let latest = of_token.map_or(now.plus(self.settings.token_lifetime), |it| it.expires_at);
        let secret = NewSecret::generate().map_err(UsersError::from)?;
        // Leads from an answer to the token without being of any use.
        let audit_id =
            NewSecret::generate().map_err(UsersError::from)?.reveal().chars().take(22).collect();
        let of = (&user, credential.as_ref());
        let token = Issued::new(of, project, methods, audit_id, (now, latest));
        let shown = Arc::new(token.clone());
        self.issued.lock().add(secret.sha256(), token, now);
        Ok((secret, shown))
    }

    async fn by_password(&self, who: &Who, password: Secret) -> Result<Proven, Refused> {
        let users = self.known(Duration::ZERO);
        let user = find(&users, who);
        let hash = user.map_or(PasswordHash::of_nobody(), |it| &it.password).clone();
        let is_right = self.hasher.is_of(hash, password).await?;
        let user = user.filter(|_| is_right).cloned().ok_or(Refused::NotKnown)?;
        let methods = vec![Method::Password];
        Ok(Proven { user, credential: None, methods, of_token: None })
    }

    fn by_credential(&self, which: &WhichCredential, secret: &Secret) -> Result<Proven, Refused> {
        let users = self.known(Duration::ZERO);
        let found = match which {
            WhichCredential::Id(id) => users.credential(|_user, it| it.id == *id),
            WhichCredential::Named(name, who) => {
                let named = find(&users, who).map(|it| &it.id);
                users.credential(|user, it| it.name == *name && named == Some(&user.id))
            }
        };
        let found = found.filter(|(_, it)| it.sha256.is_of(secret.reveal()));
        let (user, credential) = found.ok_or(Refused::NotKnown)?;
        let (user, credential) = (user.clone(), Some(credential.clone()));
        let methods = vec![Method::ApplicationCredential];
        Ok(Proven { user, credential, methods, of_token: None })
    }

    fn by_token(&self, secret: &Secret) -> Result<Proven, Refused> {
        let token = self.find(secret.reveal()).ok_or(Refused::NotKnown)?;
        let users = self.known(Duration::ZERO);
        let user = users.with_id(&token.user_id).cloned().ok_or(Refused::NotKnown)?;
        let mut methods = token.methods.clone();
        if !methods.contains(&Method::Token) {
            methods.push(Method::Token);
        }
        let credential = token.credential.clone();
        Ok(Proven { user, credential, methods, of_token: Some(token) })
    }

    /// The token with this secret, if it was given out here and has not ended.
    pub fn find(&self, secret: &str) -> Option<Arc<Issued>> {
        self.find_hash(&Sha256::digest(secret.as_bytes()).into())
    }

    fn find_hash(&self, hash: &Hash) -> Option<Arc<Issued>> {
        // Most tokens that are asked for are others: those of the configuration.
        let token = self.issued.lock().find(hash, self.clock.now()).cloned()?;
        let users = self.known(self.settings.recheck);
        if users.with_id(&token.user_id).is_some_and(|it| token.is_backed_by(it)) {
            return Some(token);
        }
        self.issued.lock().remove(hash);
        None
    }

    /// Ends the token with this secret.
    pub fn revoke(&self, secret: &str) -> bool {
        self.issued.lock().remove(&Sha256::digest(secret.as_bytes()).into())
    }
}

impl IssuedTokenSource for Users {
    fn caller_of(&self, sha256: &[u8; 32]) -> Option<Arc<Caller>> {
        self.find_hash(sha256)?.caller()
    }
}

fn find<'u>(users: &'u UserList, who: &Who) -> Option<&'u User> {
    match who {
        Who::Id(id) => users.with_id(id),
        Who::Name(name) => users.named(name),
    }
}
