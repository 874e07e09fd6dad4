//! The heads of requests. The HTTP library keeps some hundred of them for later requests, and with each the whole buffer that it
//! was received in. So a long head is copied to where it takes no more than its own length, and so is each of a crowd.

use std::cell::Cell;

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderValue};

use super::error::ApiError;

/// The longest head that is answered: its path and the values of its fields, in bytes.
const LONGEST: usize = 32 << 10;
/// A head up to this length is no more than its buffer in any case.
const SHORT: usize = 4 << 10;
/// So many requests at once on one thread are no crowd.
const FEW: usize = 8;

thread_local! {
    /// Requests of this thread that have no answer yet.
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// A request that has no answer yet; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Open(());

impl Open {
    pub(super) fn begin() -> Self {
        OPEN.set(OPEN.get().saturating_add(1));
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.set(OPEN.get().saturating_sub(1));
    }
}

/// Takes the head out of the buffer that it was received in, if that is worth it. One that is too long is emptied, and
/// refused.
pub(super) fn settle(request: &mut ServiceRequest) -> Result<(), ApiError> {
    let length = length(request);
    if length > LONGEST {
        set_uri(request, Uri::default());
        request.head_mut().headers = HeaderMap::new();
        let most = LONGEST >> 10;
        return Err(ApiError::OverLimit(format!("The request's head is longer than {most} KiB.")));
    }
    if length > SHORT || OPEN.get() > FEW {
        copy(request);
    }
    Ok(())
}

fn length(request: &ServiceRequest) -> usize {
    let uri = request.uri().path_and_query().map_or(0, |it| it.as_str().len());
    let values = request.headers().iter().map(|(_name, value)| value.len());
    values.fold(uri, usize::saturating_add)
}

/// The same head in memory of its own.
fn copy(request: &mut ServiceRequest) {
    if let Ok(uri) = Uri::try_from(request.uri().to_string()) {
        set_uri(request, uri);
    }
    let received = &request.head().headers;
    let mut headers = HeaderMap::with_capacity(received.len_keys());
    for (name, value) in received {
        let copied = HeaderValue::from_bytes(value.as_bytes());
        headers.append(name.clone(), copied.unwrap_or_else(|_invalid| value.clone()));
    }
    request.head_mut().headers = headers;
}

fn set_uri(request: &mut ServiceRequest, uri: Uri) {
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{ACCEPT, HOST};
    use actix_web::test::TestRequest;
    use actix_web::web::Bytes;

    use super::*;

    /// A request whose field lies in a buffer of others, as the HTTP library makes it.
    fn received(buffer: &Bytes, uri: &str) -> ServiceRequest {
        let mut request = TestRequest::with_uri(uri)
            .insert_header((HOST, "localhost"))
            .append_header((ACCEPT, "a"))
            .append_header((ACCEPT, "b"))
            .to_srv_request();
        let value = HeaderValue::from_maybe_shared(buffer.clone()).unwrap();
        request.headers_mut().append("x-auth-token".try_into().unwrap(), value);
        request
    }

    #[test]
    fn a_head_of_a_crowd_does_not_keep_its_buffer_and_is_the_same() {
        let buffer = Bytes::from("secret".repeat(10));
        let mut request = received(&buffer, "/a%20b?c=d");
        settle(&mut request).unwrap();
        assert!(!buffer.is_unique(), "few requests are left as they are");
        let _crowd: Vec<_> = (0..=FEW).map(|_one| Open::begin()).collect();
        settle(&mut request).unwrap();
        assert!(buffer.is_unique());
        assert_eq!(request.uri(), "/a%20b?c=d");
        assert_eq!(request.match_info().as_str(), "/a b");
        assert_eq!(request.headers().get("x-auth-token").unwrap().as_bytes(), buffer);
        let accepted: Vec<_> = request.headers().get_all(ACCEPT).collect();
        assert_eq!(accepted, ["a", "b"]);
    }

    #[test]
    fn a_long_head_does_not_keep_its_buffer_and_one_that_is_too_long_nothing() {
        let long = Bytes::from("s".repeat(SHORT + 1));
        let mut request = received(&long, "/");
        settle(&mut request).unwrap();
        assert!(long.is_unique() && request.headers().contains_key("x-auth-token"));
        let too_long = Bytes::from("s".repeat(LONGEST));
        let mut request = received(&too_long, "/a");
        assert!(settle(&mut request).is_err());
        assert!(too_long.is_unique() && request.headers().is_empty());
        assert_eq!(request.uri(), "/");
    }

    #[test]
    fn a_request_counts_until_it_is_answered() {
        let before = OPEN.get();
        let open = Open::begin();
        assert_eq!(OPEN.get(), before + 1);
        drop(open);
        assert_eq!(OPEN.get(), before);
    }
}
