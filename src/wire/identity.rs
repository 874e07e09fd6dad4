//! Keystone's API, version 3, as far as there is one here: signing in, tokens and the catalog of services.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::{ProjectId, Secret};

use super::{Link, ProjectView};

/// The body that asks for a token.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SignInBody {
    /// The content.
    pub auth: SignIn,
}

/// Who asks for a token, and what it is to be for.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SignIn {
    /// Who asks.
    pub identity: IdentityProof,
    /// `{"project": {"id": …}}` or `{"project": {"name": …}}`: for this project. `"unscoped"`: for none. Without it: for
    /// the user's own project.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    pub scope: Value,
}

/// What somebody signs in with.
#[derive(Debug, Deserialize, ToSchema)]
pub struct IdentityProof {
    /// Exactly one of `password`, `application_credential` and `token`; the field of this name says the rest.
    pub methods: Vec<String>,
    /// A user and a password.
    #[serde(default)]
    #[schema(nullable = false)]
    pub password: Option<PasswordProof>,
    /// An application credential.
    #[serde(default)]
    #[schema(nullable = false)]
    pub application_credential: Option<CredentialProof>,
    /// A token, to be exchanged for one of another project.
    #[serde(default)]
    #[schema(nullable = false)]
    pub token: Option<TokenProof>,
}

/// A user and a password.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PasswordProof {
    /// The user.
    pub user: UserRef,
}

/// A user, by id or by name, with a password where one is needed.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UserRef {
    /// Its id.
    #[serde(default)]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Its domain: there is only `default`.
    #[serde(default)]
    #[schema(nullable = false)]
    pub domain: Option<DomainRef>,
    /// Its password.
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = false)]
    pub password: Option<Secret>,
}

/// A domain, by id or by name.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DomainRef {
    /// `default`.
    #[serde(default)]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// `Default`.
    #[serde(default)]
    #[schema(nullable = false)]
    pub name: Option<String>,
}

/// An application credential: by its id, or by its name and its user.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CredentialProof {
    /// Its id.
    #[serde(default)]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Its user, beside a name.
    #[serde(default)]
    #[schema(nullable = false)]
    pub user: Option<UserRef>,
    /// Its secret.
    #[schema(value_type = String)]
    pub secret: Secret,
}

/// A token.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TokenProof {
    /// The token itself.
    #[schema(value_type = String)]
    pub id: Secret,
}

/// A single token.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenAnswer {
    /// The content.
    pub token: TokenView,
}

/// What is known of a token. The token itself is in the header `X-Subject-Token`.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// What was signed in with: `password`, `application_credential`, `token`.
    pub methods: Vec<&'static str>,
    /// Whose it is.
    pub user: UserView,
    /// Tell this token from others without being of use.
    pub audit_ids: Vec<String>,
    /// When it ends.
    pub expires_at: String,
    /// When it was given out.
    pub issued_at: String,
    /// Always false: it is for no domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_domain: Option<bool>,
    /// The project that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub project: Option<ScopeView>,
    /// What it allows there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub roles: Option<Vec<RoleView>>,
    /// Where the services are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub catalog: Option<Vec<ServiceView>>,
    /// The application credential that it was given out for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub application_credential: Option<CredentialView>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    /// Its domain.
    pub domain: DomainView,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Always null: passwords do not expire.
    #[schema(required)]
    pub password_expires_at: Option<String>,
}

/// The only domain.
#[derive(Debug, Serialize, ToSchema)]
pub struct DomainView {
    /// `default`.
    pub id: &'static str,
    /// `Default`.
    pub name: &'static str,
}

/// The project that a token is for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopeView {
    /// Its domain.
    pub domain: DomainView,
    /// Its id.
    pub id: ProjectId,
    /// The same.
    pub name: ProjectId,
}

/// What a token allows.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleView {
    /// The same as its name.
    pub id: &'static str,
    /// `admin`, `member` or `reader`.
    pub name: &'static str,
}

/// An application credential, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Always true: it makes no other credentials.
    pub restricted: bool,
}

/// A service.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServiceView {
    /// The same as its name.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `database` or `identity`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where it is.
    pub endpoints: Vec<EndpointView>,
}

/// Where a service is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointView {
    /// An id.
    pub id: String,
    /// `public`, `internal` or `admin`, all with one URL.
    pub interface: &'static str,
    /// Its region: there is one.
    pub region: &'static str,
    /// The same.
    pub region_id: &'static str,
    /// Its URL.
    pub url: String,
}

/// The services that a token is good for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceCatalog {
    /// The services.
    pub catalog: Vec<ServiceView>,
    /// Where this is.
    pub links: SelfLink,
}

/// Where something is.
#[derive(Debug, Serialize, ToSchema)]
pub struct SelfLink {
    /// Its URL.
    #[serde(rename = "self")]
    pub own: String,
}

/// Projects.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityProjects {
    /// The projects.
    pub projects: Vec<ProjectView>,
    /// Where this is.
    pub links: SelfLink,
}

/// A version of the identity API.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityVersion {
    /// Its id.
    pub id: &'static str,
    /// `stable`.
    pub status: &'static str,
    /// When it was made.
    pub updated: &'static str,
    /// Its URLs.
    pub links: Vec<Link>,
    /// What its bodies are.
    #[serde(rename = "media-types")]
    pub media_types: Vec<MediaType>,
}

/// What bodies are.
#[derive(Debug, Serialize, ToSchema)]
pub struct MediaType {
    /// `application/json`.
    pub base: &'static str,
    /// The media type with its version.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A single version of the identity API.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityVersionAnswer {
    /// The content.
    pub version: IdentityVersion,
}

/// All versions of the identity API.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityVersionList {
    /// The content.
    pub versions: IdentityVersionValues,
}

/// The versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityVersionValues {
    /// The versions.
    pub values: Vec<IdentityVersion>,
}

/// How Keystone refuses: `{"error": {"code": 401, "message": "…", "title": "Unauthorized"}}`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct IdentityErrorBody {
    /// The content.
    pub error: IdentityError,
}

/// What is wrong.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct IdentityError {
    /// The HTTP status.
    pub code: u16,
    /// A sentence for people.
    pub message: String,
    /// The name of the status.
    pub title: String,
}
