//! Users who sign in with a password, their application credentials, and the tokens that both are exchanged for: what
//! OpenStack's Keystone does, for one server.
//!
//! Users are kept in one small file, which commands write and the server reads again when it changes. Passwords are
//! stored as their scrypt hash, secrets of credentials and tokens as their SHA-256. Tokens are kept in memory only: after a
//! restart everybody signs in again.

mod error;
mod hasher;
mod issued;
mod list;
mod password;
mod sign_in;
mod user;

pub use error::{Refused, UsersError};
pub use issued::{Issued, Method};
pub use list::UserList;
pub use password::PasswordHash;
pub use sign_in::{
    Proof, Report, Settings, Stamp, UserSource, Users, Wanted, WhichCredential, Who,
};
pub use user::{Credential, NewSecret, User};
