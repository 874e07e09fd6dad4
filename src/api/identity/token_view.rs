//! How a token is shown.

use crate::domain::Role;
use crate::users::{Issued, Method};
use crate::wire::{CredentialView, DomainView, RoleView, ScopeView, TokenView, UserView};

use super::services::services;

/// The only domain.
const DOMAIN: DomainView = DomainView { id: "default", name: "Default" };

/// The token as Keystone shows it; with the services at `base`, if there is any.
pub(super) fn token_view(token: &Issued, base: Option<&str>) -> TokenView {
    let project = token.project.as_ref();
    let scope = |id: &_| ScopeView { domain: DOMAIN, id: Clone::clone(id), name: Clone::clone(id) };
    TokenView {
        methods: token.methods.iter().copied().map(method).collect(),
        user: UserView {
            domain: DOMAIN,
            id: token.user_id.clone(),
            name: token.user_name.clone(),
            password_expires_at: None,
        },
        audit_ids: vec![token.audit_id.clone()],
        expires_at: token.expires_at.to_string(),
        issued_at: token.issued_at.to_string(),
        is_domain: project.map(|_| false),
        project: project.map(scope),
        roles: project.map(|_| roles(token.role)),
        catalog: project.zip(base).map(|(project, base)| services(base, project)),
        application_credential: token.credential.as_ref().map(|it| CredentialView {
            id: it.id.clone(),
            name: it.name.clone(),
            restricted: true,
        }),
    }
}

const fn method(method: Method) -> &'static str {
    match method {
        Method::Password => "password",
        Method::ApplicationCredential => "application_credential",
        Method::Token => "token",
    }
}

/// The role, and those that it implies.
fn roles(role: Role) -> Vec<RoleView> {
    let all = match role {
        Role::Admin => &[Role::Admin, Role::Member, Role::Reader][..],
        Role::Member => &[Role::Member, Role::Reader],
        Role::Reader => &[Role::Reader],
    };
    all.iter().map(|it| RoleView { id: it.as_str(), name: it.as_str() }).collect()
}
