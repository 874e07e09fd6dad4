//! Users of the data directory: where the list is, and who may sign in to this server.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Notice;
use crate::config::Config;
use crate::executor::Context;
use crate::storage::Local;
use crate::users::{Settings, Stamp, UserSource, Users};

/// How old what is known of the list may be: a user who was removed can do so much longer what the tokens allow.
const RECHECK: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct UsersFile(Arc<Local>);

impl UserSource for UsersFile {
    fn stamp(&self) -> Result<Option<Stamp>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.users_stamp()?)
    }

    fn read(&self) -> Result<Option<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.users()?)
    }
}

/// The users, whose tokens are taken from now on.
pub(super) fn start(config: &Config, context: &Context) -> Arc<Users> {
    let settings = Settings { token_lifetime: config.auth.token_lifetime(), recheck: RECHECK };
    let source = Box::new(UsersFile(Arc::clone(&context.local)));
    let catalog = Arc::clone(&context.catalog);
    let report = move |why: Option<&str>| {
        match why {
            Some(why) => log::error!("{why}"),
            None => log::info!("the list of users is read again"),
        }
        catalog.set_notice(Notice::UsersUnread, why.map(str::to_owned));
    };
    let users = Users::new(source, Arc::clone(&context.clock), settings, Box::new(report));
    let users = Arc::new(users);
    context.catalog.set_issued_tokens(Arc::<Users>::clone(&users));
    users
}
