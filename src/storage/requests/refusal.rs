//! Why a store does not do what it is asked for.

use std::fmt;

/// Why a store refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    UnknownKey,
    WrongSecret,
    /// The store does not take this user with this key, or whoever gives out tokens does not.
    WrongLogin,
    TokenExpired,
    Clock,
    NoBucket,
    NoContainer,
    OtherRegion,
    NotAllowed,
    Full,
    Locked,
    /// What arrived is not what was sent.
    BadChecksum,
    /// There is such an object already.
    Taken,
    /// There is no such upload, or one of its parts is not there.
    NoUpload,
    NoObject,
    /// An object is made of others, and one of these is missing or is not what it was.
    Incomplete,
    /// The store does not know how to do this.
    NotImplemented,
    /// The store is overloaded, restarts, or was in the middle of something.
    Busy,
    /// With the status, and the store's own word for it.
    Other(u16, String),
}

impl Refusal {
    /// What is none of the others, with the store's own word for it if that is harmless.
    pub(in crate::storage) fn other(status: u16, word: &str) -> Self {
        Self::Other(status, word.chars().filter(char::is_ascii_alphanumeric).take(60).collect())
    }

    /// Whether every other request would be refused as well.
    pub(in crate::storage) const fn is_about_store(&self) -> bool {
        matches!(
            self,
            Self::UnknownKey
                | Self::WrongSecret
                | Self::WrongLogin
                | Self::TokenExpired
                | Self::Clock
                | Self::NoBucket
                | Self::NoContainer
                | Self::OtherRegion
                | Self::NotAllowed
                | Self::Full
                | Self::Busy
        )
    }

    /// Whether the same request may succeed a moment later.
    pub(in crate::storage) const fn may_pass(&self) -> bool {
        matches!(self, Self::Busy | Self::BadChecksum)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::UnknownKey => "the store does not know this access key; correct the credentials",
            Self::WrongSecret => {
                "the secret key is not that of the access key; correct the credentials"
            }
            Self::WrongLogin => {
                "the user, its project or its key are not known there; correct the credentials"
            }
            Self::TokenExpired => "the session token has expired; renew the credentials",
            Self::Clock => {
                "the store says that the clock of this machine is wrong; set it: timedatectl set-ntp true"
            }
            Self::NoBucket => "there is no such bucket; make it, or correct `bucket`",
            Self::NoContainer => {
                "there is no such container; make it (openstack container create NAME), or correct `container`"
            }
            Self::OtherRegion => "the bucket is in another region; correct `region` and `endpoint`",
            Self::NotAllowed => {
                "these credentials may not do that, or the bucket or container is somebody else's; give them the right, \
                 or correct its name"
            }
            Self::Full => "the store is full, or a quota is used up; make room there",
            Self::Locked => "the store keeps it locked for now",
            Self::BadChecksum => {
                "what arrived is not what was sent; something on the way changes it"
            }
            Self::Taken => "there is another one already",
            Self::NoUpload => "the store does not know this upload, or a part of it, any more",
            Self::NoObject => "it is not there",
            Self::Incomplete => "a part of it is missing there, or is not what it was",
            Self::NotImplemented => "the store does not know how to do this",
            Self::Busy => "the store is overloaded or restarts; it is tried again",
            Self::Other(status, code) if code.is_empty() => {
                return write!(out, "the store answers with status {status}");
            }
            Self::Other(status, code) => {
                return write!(out, "the store answers with status {status} ({code})");
            }
        };
        out.write_str(text)
    }
}
