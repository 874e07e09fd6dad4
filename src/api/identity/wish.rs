//! What a body that asks for a token says.

use serde_json::{Map, Value};

use crate::api::error::ApiError;
use crate::users::{Proof, Wanted, WhichCredential, Who};
use crate::wire::{CredentialProof, DomainRef, IdentityProof, PasswordProof, SignInBody, UserRef};

/// The only domain.
const DOMAIN: (&str, &str) = ("default", "Default");

/// Who signs in, and for what.
pub(super) fn wish(body: SignInBody) -> Result<(Proof, Wanted), ApiError> {
    let wanted = wanted(&body.auth.scope)?;
    Ok((proof(body.auth.identity)?, wanted))
}

fn proof(identity: IdentityProof) -> Result<Proof, ApiError> {
    let [method] = identity.methods.as_slice() else {
        return Err(bad("auth['identity']['methods'] has to hold one method"));
    };
    match method.as_str() {
        "password" => password(identity.password.ok_or_else(|| missing("password"))?),
        "application_credential" => {
            credential(identity.application_credential.ok_or_else(|| missing(method))?)
        }
        "token" => Ok(Proof::Token(identity.token.ok_or_else(|| missing(method))?.id)),
        // As Keystone answers.
        _ => Err(ApiError::Unauthorized),
    }
}

fn password(PasswordProof { mut user }: PasswordProof) -> Result<Proof, ApiError> {
    let password = user.password.take().ok_or_else(|| bad("the user has no 'password'"))?;
    Ok(Proof::Password { user: who(user)?, password })
}

fn credential(proof: CredentialProof) -> Result<Proof, ApiError> {
    let CredentialProof { id, name, user, secret } = proof;
    let which = match (id, name, user) {
        (Some(id), ..) => WhichCredential::Id(id),
        (None, Some(name), Some(user)) => WhichCredential::Named(name, who(user)?),
        _ => return Err(bad("a credential needs its 'id', or its 'name' and its 'user'")),
    };
    Ok(Proof::Credential { which, secret })
}

/// A user of another domain is as unknown as one that there is not.
fn who(user: UserRef) -> Result<Who, ApiError> {
    let is_here = user.domain.is_none_or(|it| is_the_domain(&it));
    match (user.id, user.name) {
        (Some(id), _) => Ok(Who::Id(id)),
        (None, Some(name)) => Ok(Who::Name(if is_here { name } else { String::new() })),
        (None, None) => Err(bad("a user needs its 'id' or its 'name'")),
    }
}

fn is_the_domain(domain: &DomainRef) -> bool {
    domain.id.as_deref().is_none_or(|it| it == DOMAIN.0)
        && domain.name.as_deref().is_none_or(|it| it.eq_ignore_ascii_case(DOMAIN.1))
}

fn wanted(scope: &Value) -> Result<Wanted, ApiError> {
    match scope {
        Value::Null => Ok(Wanted::Home),
        Value::String(word) if word == "unscoped" => Ok(Wanted::Nothing),
        Value::Object(scope) if scope.contains_key("unscoped") => Ok(Wanted::Nothing),
        Value::Object(scope) => match scope.get("project") {
            Some(Value::Object(project)) => wanted_project(project),
            Some(_) => Err(bad("auth['scope']['project'] is no object")),
            // For a domain, the whole cloud, a trust: nobody has a role there.
            None if !scope.is_empty() => Err(ApiError::Unauthorized),
            None => Err(bad("auth['scope'] names no project")),
        },
        _ => Err(bad("auth['scope'] is neither an object nor \"unscoped\"")),
    }
}

fn wanted_project(project: &Map<String, Value>) -> Result<Wanted, ApiError> {
    let domain = match project.get("domain") {
        None | Some(Value::Null) => None,
        Some(domain) => Some(domain.as_object().ok_or_else(|| bad("the 'domain' is no object"))?),
    };
    let text = |it: Option<&Value>| it.and_then(Value::as_str).map(str::to_owned);
    let domain = domain.map(|it| DomainRef { id: text(it.get("id")), name: text(it.get("name")) });
    let named = project.get("id").or_else(|| project.get("name"));
    let named = text(named).ok_or_else(|| bad("a project needs its 'id' or its 'name'"))?;
    let project = named.parse().map_err(|_malformed| ApiError::Unauthorized)?;
    let is_here = domain.is_none_or(|it| is_the_domain(&it));
    if is_here { Ok(Wanted::Project(project)) } else { Err(ApiError::Unauthorized) }
}

fn missing(method: &str) -> ApiError {
    bad(&format!("auth['identity'] has no '{method}'"))
}

fn bad(why: &str) -> ApiError {
    ApiError::malformed(why)
}
