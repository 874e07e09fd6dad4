//! Users in memory, and the clock by which their tokens end.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coffer::domain::{Clock, Role, Timestamp};
use coffer::users::{
    NewSecret, PasswordHash, Settings, Stamp, User, UserList, UserSource, Users, UsersError,
};

/// How long their tokens last.
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// The list of users, which tests change.
#[derive(Debug, Clone)]
pub struct People {
    list: Arc<Mutex<(UserList, u64)>>,
    clock: Arc<SetClock>,
}

#[derive(Debug)]
struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl People {
    pub fn new(now: Timestamp) -> Self {
        Self { list: Arc::default(), clock: Arc::new(SetClock(Mutex::new(now))) }
    }

    /// Who may sign in: those of this list, as it is at the moment.
    pub fn users(&self) -> Arc<Users> {
        let settings = Settings { token_lifetime: LIFETIME, recheck: Duration::ZERO };
        let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&self.clock);
        Arc::new(Users::new(Box::new(self.clone()), clock, settings, Box::new(|_why| {})))
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut UserList) -> Result<T, UsersError>) -> T {
        let mut list = self.list.lock().unwrap();
        list.1 += 1;
        change(&mut list.0).unwrap()
    }

    /// Adds a user, whose password is the name and `-password`.
    pub fn add(&self, name: &str, project: &str, role: Role) {
        let hash = PasswordHash::of(&format!("{name}-password")).unwrap();
        let user = User::new(name, project.parse().unwrap(), role, hash).unwrap();
        self.change(|it| it.add(user));
    }

    /// Adds a credential. Returns its id and its secret.
    pub fn add_credential(&self, user: &str, role: Option<Role>) -> (String, NewSecret) {
        let (credential, secret) = self.change(|it| it.add_credential(user, "ci", role));
        (credential.id, secret)
    }

    pub fn wait(&self, time: Duration) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.plus(time);
    }
}

impl UserSource for People {
    fn stamp(&self) -> Result<Option<Stamp>, Box<dyn Error + Send + Sync>> {
        Ok(Some((self.list.lock().unwrap().1, 0, 0)))
    }

    fn read(&self) -> Result<Option<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        Ok(Some(self.list.lock().unwrap().0.to_text()?.into_bytes()))
    }
}
