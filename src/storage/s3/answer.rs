//! What a store answers to a request that it does not do.

use std::fmt;

use ureq::http::StatusCode;

/// Why a store refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    UnknownKey,
    WrongSecret,
    TokenExpired,
    Clock,
    NoBucket,
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
    /// The store does not know how to do this.
    NotImplemented,
    /// The store is overloaded, restarts, or was in the middle of something.
    Busy,
    /// With the status, and the store's own word for it.
    Other(u16, String),
}

impl Refusal {
    /// By the status of an answer, and the store's code in it, if it has one.
    pub(super) fn new(status: StatusCode, code: &str) -> Self {
        match (status.as_u16(), code) {
            (_, "InvalidAccessKeyId" | "InvalidClientTokenId") => Self::UnknownKey,
            (_, "SignatureDoesNotMatch") => Self::WrongSecret,
            (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => Self::TokenExpired,
            (_, "RequestTimeTooSkewed" | "RequestExpired") => Self::Clock,
            (_, "NoSuchBucket") => Self::NoBucket,
            (301 | 307, _)
            | (
                _,
                "PermanentRedirect"
                | "AuthorizationHeaderMalformed"
                | "AuthorizationQueryParametersError",
            ) => Self::OtherRegion,
            (_, "ObjectLocked" | "WORMProtected") => Self::Locked,
            (_, "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch") => {
                Self::BadChecksum
            }
            (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "StorageFull") => Self::Full,
            (412, _) => Self::Taken,
            (_, "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder") => Self::NoUpload,
            (404, _) => Self::NoObject,
            (501, _) => Self::NotImplemented,
            (408 | 409 | 425 | 429 | 500 | 502 | 503 | 504, _)
            | (_, "SlowDown" | "InternalError" | "RequestTimeout" | "ServiceUnavailable") => {
                Self::Busy
            }
            (401 | 403, _) => Self::NotAllowed,
            (status, code) => Self::Other(
                status,
                code.chars().filter(char::is_ascii_alphanumeric).take(60).collect(),
            ),
        }
    }

    /// Whether every other request would be refused as well.
    pub(in crate::storage) const fn is_about_store(&self) -> bool {
        matches!(
            self,
            Self::UnknownKey
                | Self::WrongSecret
                | Self::TokenExpired
                | Self::Clock
                | Self::NoBucket
                | Self::OtherRegion
                | Self::NotAllowed
                | Self::Full
                | Self::Busy
        )
    }

    /// Whether the same request may succeed a moment later.
    pub(super) const fn may_pass(&self) -> bool {
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
            Self::TokenExpired => "the session token has expired; renew the credentials",
            Self::Clock => {
                "the store says that the clock of this machine is wrong; set it: timedatectl set-ntp true"
            }
            Self::NoBucket => "there is no such bucket; make it, or correct `bucket`",
            Self::OtherRegion => "the bucket is in another region; correct `region` and `endpoint`",
            Self::NotAllowed => {
                "these credentials may not do that, or the bucket is somebody else's; give them the right, or correct \
                 `bucket`"
            }
            Self::Full => "the store is full, or a quota is used up; make room there",
            Self::Locked => "the store keeps it locked for now",
            Self::BadChecksum => {
                "what arrived is not what was sent; something on the way changes it"
            }
            Self::Taken => "there is another one already",
            Self::NoUpload => "the store does not know this upload, or a part of it, any more",
            Self::NoObject => "it is not there",
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

/// The text of the first element of this name in an answer.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_before, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _after)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_told_by_status_and_code_and_only_some_are_tried_again() {
        for (status, code, refusal, again) in [
            (403, "SignatureDoesNotMatch", Refusal::WrongSecret, false),
            (403, "InvalidAccessKeyId", Refusal::UnknownKey, false),
            (403, "RequestTimeTooSkewed", Refusal::Clock, false),
            (403, "AccessDenied", Refusal::NotAllowed, false),
            (404, "NoSuchBucket", Refusal::NoBucket, false),
            (404, "NoSuchUpload", Refusal::NoUpload, false),
            (404, "", Refusal::NoObject, false),
            (412, "PreconditionFailed", Refusal::Taken, false),
            (503, "SlowDown", Refusal::Busy, true),
            (500, "", Refusal::Busy, true),
            (400, "BadDigest", Refusal::BadChecksum, true),
            (507, "", Refusal::Full, false),
            (418, "Teapot", Refusal::Other(418, "Teapot".to_owned()), false),
        ] {
            let found = Refusal::new(StatusCode::from_u16(status).unwrap(), code);
            assert_eq!(found, refusal, "{status} {code}");
            assert_eq!(found.may_pass(), again, "{status} {code}");
        }
    }

    #[test]
    fn an_element_is_found_and_a_broken_one_is_not() {
        assert_eq!(element("<Error><Code>SlowDown</Code></Error>", "Code"), Some("SlowDown"));
        assert_eq!(element("<Error><Code>SlowDown", "Code"), None);
    }
}
