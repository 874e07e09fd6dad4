//! Identifiers. Each is a type of its own, so that one cannot be used as another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Timestamp;

/// A text that is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}")]
pub struct MalformedId {
    /// The kind of identifier: `backup id`, `project id` and so on.
    pub what: &'static str,
    /// The text, cut to 80 characters.
    pub text: String,
}

impl MalformedId {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.chars().take(80).collect() }
    }
}

/// Takes the hyphenated form only. `Uuid::parse_str` also takes braces, URNs and plain hex.
fn parse_hyphenated(text: &str, what: &'static str) -> Result<Uuid, MalformedId> {
    if text.len() != 36 {
        return Err(MalformedId::new(what, text));
    }
    Uuid::try_parse(text).map_err(|_reason| MalformedId::new(what, text))
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(value: Uuid) -> Self {
                Self(value)
            }

            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(out)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                parse_hyphenated(text, $what).map(Self)
            }
        }
    };
}

uuid_id!(
    /// A backup. A UUID of version 7, so that ids made later sort later.
    BackupId,
    "backup id"
);
uuid_id!(
    /// A database or directory that backups are made of.
    InstanceId,
    "instance id"
);

uuid_id!(
    /// One attempt at a job. A UUID of version 7.
    RunId,
    "run id"
);

uuid_id!(
    /// Something that was or is wrong, and was said. A UUID of version 7.
    AlertId,
    "alert id"
);

uuid_id!(
    /// A message to one channel, whose receiver may know by it that it came twice. A UUID of version 7.
    DeliveryId,
    "delivery id"
);

impl AlertId {
    /// A new id, which sorts after those made in earlier milliseconds.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl DeliveryId {
    /// A new id, which sorts after those made in earlier milliseconds.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl BackupId {
    /// A new id, which sorts after those made in earlier milliseconds.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The time in it, to the millisecond; `None`: it is not of the version that has one.
    pub fn made(self) -> Option<Timestamp> {
        let (seconds, nanos) =
            self.0.get_timestamp().filter(|_| self.0.get_version_num() == 7)?.to_unix();
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
        Some(Timestamp::from_micros(micros.checked_add(i64::from(nanos / 1000))?))
    }

    /// What ids with earlier times sort before, and those with later ones behind.
    pub fn at(time: Timestamp) -> Self {
        let millis = u128::try_from(time.as_micros() / 1000).unwrap_or(0);
        Self(Uuid::from_u128(millis.min((1 << 48) - 1) << 80))
    }
}

impl RunId {
    /// A new id, which sorts after those made in earlier milliseconds.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

/// The UUID namespace of the ids made by [`InstanceId::derived`].
const INSTANCE_NAMESPACE: Uuid = Uuid::from_u128(0x5c1f_7f0e_1a52_4e0b_9d0f_c0ff_e500_0001);

impl InstanceId {
    /// A random id, for a restored instance.
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id of a configured instance that has none of its own: the UUID of version 5 of its project and
    /// name, which is the same after every restart and on every machine.
    pub fn derived(project: &ProjectId, name: &str) -> Self {
        let text = format!("{project}\n{name}");
        Self(Uuid::new_v5(&INSTANCE_NAMESPACE, text.as_bytes()))
    }
}

/// Whether this is safe as one component of any path: letters, digits, `_`, `-`, and dots but not in front.
fn is_path_component(text: &str, max_bytes: usize) -> bool {
    !text.is_empty()
        && text.len() <= max_bytes
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// A name that becomes part of paths: `$valid` says which components are allowed.
macro_rules! path_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        $(#[$doc])*
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let valid: fn(&str) -> bool = $valid;
                if is_path_component(text, 64) && valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(MalformedId::new($what, text))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = MalformedId;

            fn try_from(text: String) -> Result<Self, MalformedId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

path_name!(
    /// The project (OpenStack's tenant) that owns instances and backups: 1 to 64 characters of
    /// `A-Z a-z 0-9 _ -`, because it becomes part of URLs and of paths of archives.
    #[schema(value_type = String)]
    ProjectId,
    "project id (1 to 64 of A-Z a-z 0-9 _ -)",
    |text| !text.contains('.')
);

path_name!(
    /// The subfolder for a backup's archive that the client asked for (Trove's `swift_container`):
    /// 1 to 64 characters of `A-Z a-z 0-9 _ - .`, not starting with a dot, and no UUID, which would be
    /// mistaken for the folder of an instance.
    #[schema(value_type = String, format = "container", min_length = 1)]
    ContainerName,
    "container name (1 to 64 of A-Z a-z 0-9 _ - .)",
    |text| parse_hyphenated(text, "").is_err()
);
