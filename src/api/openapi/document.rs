//! The document of the API, made from the routes and the types of their bodies. The program holds it as a file, so that
//! it does not carry what makes it; a test makes it again, and fails where the file says something else.

use std::env;
use std::fs;
use std::path::Path;

use utoipa::openapi::path::{self, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required,
    Response, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::api::operation::Operation;
use crate::api::{PROJECT, identity, project_operations, public_operations};
use crate::wire::{ErrorBody, ErrorDetail, IdentityError, IdentityErrorBody};

/// Set: the test writes the file instead of failing.
const WRITE: &str = "COFFER_WRITE_OPENAPI";

/// The refusals that every request below a project may get.
const ON_EVERY_PROJECT_ROUTE: [&str; 8] = ["400", "401", "403", "404", "413", "429", "500", "503"];
/// The refusals that every request of the identity API may get.
const ON_EVERY_IDENTITY_ROUTE: [&str; 8] = ["400", "401", "403", "404", "413", "429", "500", "503"];
/// The refusals of a request that has a body.
const WITH_BODY: [&str; 2] = ["408", "415"];

/// What the routes of the identity API are described below. They are below the other prefix, too.
const IDENTITY: &str = identity::PREFIXES[0];

/// What the id of a project looks like; any other gets a 404.
const PROJECT_ID: &str = "^[A-Za-z0-9_-]{1,64}$";

/// What is meant by the variable parts of paths.
const PATH_PARAMETERS: [(&str, &str); 5] = [
    ("project_id", "The project in which the request is made; administrators may name any."),
    ("id", "An id, in lower case."),
    ("datastore", "Name or id of a datastore."),
    ("version", "Name or id of a version."),
    ("project", "The project whose quotas are meant."),
];

/// The document of every route.
fn document() -> OpenApi {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new()
        .security_scheme(
            "token",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Auth-Token"))),
        )
        .security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)))
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .schema(ErrorBody::name(), ErrorBody::schema())
        .schema(ErrorDetail::name(), ErrorDetail::schema())
        .schema(IdentityErrorBody::name(), IdentityErrorBody::schema())
        .schema(IdentityError::name(), IdentityError::schema());
    let public = public_operations().into_iter().map(|operation| (String::new(), operation));
    let project = project_operations().into_iter().map(|it| (PROJECT.to_owned(), it));
    let identity = identity::operations().into_iter().map(|it| (IDENTITY.to_owned(), it));
    for (prefix, operation) in public.chain(identity).chain(project) {
        let Operation { method, path, .. } = operation;
        let mut described = (operation.document)();
        let mut schemas = Vec::new();
        (operation.add_schemas)(&mut schemas);
        let path = format!("{prefix}{path}");
        add_path_parameters(&path, &mut described);
        described.tags = None;
        match prefix.as_str() {
            // Public: no authentication.
            "" => described.security = Some(Vec::new()),
            IDENTITY => describe_identity(&mut described),
            _ => add_refusals(&mut described, &ON_EVERY_PROJECT_ROUTE, &ErrorBody::name()),
        }
        paths.add_path_operation(path, vec![method], described);
        components = components.schemas_from_iter(schemas);
    }
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Coffer")
                .version("1.0")
                .description(Some(
                    "OpenStack Trove's Backups API, in one binary, and a subset of Keystone's API for its users, which is below /v3 as well as \
                     below /identity/v3. HEAD is answered as GET, without a body.",
                ))
                .license(Some(license)),
        )
        .security(Some(
            ["token", "basic", "bearer"].map(|it| SecurityRequirement::new(it, [""; 0])),
        ))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn add_path_parameters(path: &str, operation: &mut path::Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    for (name, description) in PATH_PARAMETERS {
        if path.contains(&format!("{{{name}}}")) {
            let mut schema = ObjectBuilder::new().schema_type(Type::String);
            if name.starts_with("project") {
                schema = schema.pattern(Some(PROJECT_ID));
            }
            let parameter: Parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(Some(description))
                .schema(Some(schema))
                .build();
            parameters.push(RefOr::T(parameter));
        }
    }
}

/// The identity API takes its token in one header only, and where one signs in none.
fn describe_identity(operation: &mut path::Operation) {
    let header = SecurityRequirement::new("token", [""; 0]);
    let needs_none = operation.request_body.is_some();
    operation.security = Some(if needs_none { Vec::new() } else { vec![header] });
    add_refusals(operation, &ON_EVERY_IDENTITY_ROUTE, &IdentityErrorBody::name());
}

fn add_refusals(operation: &mut path::Operation, codes: &[&str], body: &str) {
    let with_body = operation.request_body.is_some().then_some(WITH_BODY);
    for code in codes.iter().copied().chain(with_body.into_iter().flatten()) {
        operation.responses.responses.entry(code.to_owned()).or_insert_with(|| refusal(body));
    }
}

fn refusal(body: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(body))).build();
    ResponseBuilder::new()
        .description("The request was refused; the body says why.")
        .content("application/json", content)
        .build()
        .into()
}

/// The document as JSON with a line for each path and each schema, so that a change of one of them is seen as such.
fn text() -> String {
    let document = serde_json::to_string(&document()).expect("every key is a text");
    let mut text = String::with_capacity(document.len());
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for character in document.chars() {
        if !in_text && matches!(character, '}' | ']') {
            depth -= 1;
        }
        text.push(character);
        match character {
            '"' if !escaped => in_text = !in_text,
            '{' | '[' if !in_text => depth += 1,
            ',' if !in_text && depth <= 3 => text.push('\n'),
            _ => {}
        }
        escaped = character == '\\' && !escaped;
    }
    text.push('\n');
    text
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a file of the checkout, which a person asked to be written"
)]
fn the_file_is_the_document_of_the_routes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/openapi/openapi.json");
    let text = text();
    if env::var_os(WRITE).is_some() {
        fs::write(&file, &text).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap();
    let differs = text.lines().zip(written.lines()).find(|(made, written)| made != written);
    assert_eq!(differs, None, "write it again: {WRITE}=1 cargo test --lib api::openapi");
    assert_eq!(
        text.len(),
        written.len(),
        "write it again: {WRITE}=1 cargo test --lib api::openapi"
    );
}
