//! What a store answers to a request that it does not do.

use ureq::http::StatusCode;

use crate::storage::requests::Refusal;

/// By the status of an answer, and the store's code in it, if it has one.
pub(super) fn refusal(status: StatusCode, code: &str) -> Refusal {
    match (status.as_u16(), code) {
        (_, "InvalidAccessKeyId" | "InvalidClientTokenId") => Refusal::UnknownKey,
        (_, "SignatureDoesNotMatch") => Refusal::WrongSecret,
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => Refusal::TokenExpired,
        (_, "RequestTimeTooSkewed" | "RequestExpired") => Refusal::Clock,
        (_, "NoSuchBucket") => Refusal::NoBucket,
        (301 | 307, _)
        | (
            _,
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "AuthorizationQueryParametersError",
        ) => Refusal::OtherRegion,
        (_, "ObjectLocked" | "WORMProtected") => Refusal::Locked,
        (_, "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch") => {
            Refusal::BadChecksum
        }
        (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "StorageFull") => Refusal::Full,
        (412, _) => Refusal::Taken,
        (_, "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder") => Refusal::NoUpload,
        (404, _) => Refusal::NoObject,
        (501, _) => Refusal::NotImplemented,
        (408 | 409 | 425 | 429 | 500 | 502 | 503 | 504, _)
        | (_, "SlowDown" | "InternalError" | "RequestTimeout" | "ServiceUnavailable") => {
            Refusal::Busy
        }
        (401 | 403, _) => Refusal::NotAllowed,
        (status, code) => Refusal::other(status, code),
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
            let found = super::refusal(StatusCode::from_u16(status).unwrap(), code);
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
