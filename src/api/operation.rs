//! An operation of the API: what answers a method on a path, and what the documentation says of it.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Resource, Responder, Route, web};
use utoipa::__dev::SchemaReferences;
use utoipa::openapi::path::HttpMethod;
#[cfg(test)]
use utoipa::openapi::{self, RefOr, Schema};

use super::error::ApiError;

/// A handler with its `#[utoipa::path]`. There is no other way to route one, so none is undocumented.
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    pub(super) path: String,
    /// Makes its documentation, for the file of the document.
    #[cfg(test)]
    pub(super) document: fn() -> openapi::path::Operation,
    /// Adds the schemas that the documentation refers to, by name.
    #[cfg(test)]
    pub(super) add_schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
    route: Route,
}

/// The operations of these handlers.
macro_rules! operations {
    ($($handler:ident),+ $(,)?) => {
        vec![$(pastey::paste! {
            $crate::api::operation::Operation::new::<[<__path_ $handler>], _, _>($handler)
        }),+]
    };
}
pub(super) use operations;

impl Operation {
    /// The operation of `handler`, documented by `P`. Use [`operations`], which cannot mix them up.
    pub(super) fn new<P, F, Args>(handler: F) -> Self
    where
        P: utoipa::Path + SchemaReferences,
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let method = P::methods().pop().unwrap_or(HttpMethod::Get);
        Self {
            route: web::method(to_actix(&method)).to(handler),
            method,
            path: P::path(),
            #[cfg(test)]
            document: P::operation,
            #[cfg(test)]
            add_schemas: P::schemas,
        }
    }
}

fn to_actix(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Patch => Method::PATCH,
        _ => Method::GET,
    }
}

/// One resource for each path, in the order the paths come. Any other method is answered with 405 and
/// the list of those that work.
pub(super) fn resources(operations: Vec<Operation>) -> Vec<Resource> {
    let mut paths: Vec<(String, Vec<Operation>)> = Vec::new();
    for operation in operations {
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, group)) => group.push(operation),
            None => paths.push((operation.path.clone(), vec![operation])),
        }
    }
    paths.into_iter().map(|(path, operations)| resource(&path, operations)).collect()
}

/// The pattern of a path with `{names}`, each for printable ASCII. Without saying so, a name stands for any character
/// of Unicode, and its regular expression takes twice the memory, for each path and thread.
pub(super) fn pattern(path: &str) -> String {
    path.replace('}', ":[ -.0-~]+}")
}

fn resource(path: &str, operations: Vec<Operation>) -> Resource {
    let mut allowed = Vec::new();
    let mut resource = web::resource(pattern(path));
    for operation in operations {
        let method = to_actix(&operation.method);
        allowed.push(method.to_string());
        if method == Method::GET {
            allowed.push(Method::HEAD.to_string());
        }
        resource = resource.route(operation.route);
    }
    let allow = allowed.join(", ");
    resource.default_service(web::to(move || {
        let refusal = ApiError::BadMethod { allow: allow.clone() };
        async move { Err::<&'static str, _>(refusal) }
    }))
}
