//! Checks a body against the schema of its type. All problems are reported at once, in the sentences of
//! Trove's own validation.

use std::slice;

use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, Object, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{Number, ToSchema};
use uuid::Uuid;

use crate::api::error::ApiError;
use crate::domain::ContainerName;

/// What an id has to look like, as Trove prints it.
const UUID_PATTERN: &str =
    "'^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'";
/// Characters of a value that a message repeats.
const SHOWN: usize = 300;

/// Refuses a body that does not conform to the schema of `T`.
pub(super) fn check<T: ToSchema>(body: &Value) -> Result<(), ApiError> {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    let mut checker = Checker { schemas: &schemas, problems: Vec::new() };
    checker.check("", &T::schema(), body);
    if checker.problems.is_empty() {
        return Ok(());
    }
    Err(ApiError::BadRequest(format!("Validation error: {}", checker.problems.join("; "))))
}

struct Checker<'s> {
    /// The schemas that others refer to, by name.
    schemas: &'s [(String, RefOr<Schema>)],
    problems: Vec<String>,
}

impl Checker<'_> {
    /// Checks the value at `place`: empty for the body itself, else like `backup['name']`.
    fn check(&mut self, place: &str, schema: &RefOr<Schema>, value: &Value) {
        match schema {
            RefOr::Ref(reference) => {
                let name = reference.ref_location.rsplit('/').next();
                let known = self.schemas.iter().find(|(known, _)| Some(known.as_str()) == name);
                if let Some((_, schema)) = known {
                    self.check(place, schema, value);
                }
            }
            RefOr::T(Schema::Object(object)) => self.check_object(place, object, value),
            // Null, or something else.
            RefOr::T(Schema::OneOf(choice)) if !value.is_null() => {
                let others = choice.items.iter().filter(|it| !is_null(it));
                others.for_each(|schema| self.check(place, schema, value));
            }
            // No body of this API holds anything else.
            RefOr::T(_) => {}
        }
    }

    fn check_object(&mut self, place: &str, schema: &Object, value: &Value) {
        let types = types(schema);
        // A schema without a type leaves it to the handler.
        if !types.is_empty() && !types.iter().any(|it| is_of_type(value, it)) {
            let names = types.iter().filter_map(type_name).collect::<Vec<_>>().join(", ");
            return self.report(place, value, &format!("is not of type {names}"));
        }
        match value {
            Value::String(text) => self.check_text(place, schema, text),
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                if let Some(least) = schema.minimum.as_ref().map(bound).filter(|it| number < *it) {
                    self.report(place, value, &format!("is less than the minimum of {least}"));
                }
                if let Some(most) = schema.maximum.as_ref().map(bound).filter(|it| number > *it) {
                    self.report(place, value, &format!("is greater than the maximum of {most}"));
                }
            }
            Value::Object(fields) => self.check_fields(place, schema, fields),
            _ => {}
        }
        if custom_format(schema) == Some("flavor") && !is_the_flavor(value) {
            self.report(place, value, "is no flavor of this server: there is only 1");
        }
    }

    fn check_text(&mut self, place: &str, schema: &Object, text: &str) {
        let value = Value::from(text);
        let is_id = matches!(schema.format, Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
        if text.is_empty() && (is_id || schema.min_length.is_some()) {
            self.report(place, &value, "should be non-empty");
        }
        if is_id && !is_uuid(text) {
            self.report(place, &value, &format!("does not match {UUID_PATTERN}"));
        }
        match custom_format(schema) {
            Some("name") if !is_name(text) => {
                let why = "should be one line with at least one letter or digit";
                self.report(place, &value, why);
            }
            Some("container") if !text.is_empty() && text.parse::<ContainerName>().is_err() => {
                let why = "is not allowed: it names a folder, of 1 to 64 of A-Z a-z 0-9 _ - .";
                self.report(place, &value, why);
            }
            _ => {}
        }
        if schema.max_length.is_some_and(|most| text.chars().count() > most) {
            self.report(place, &value, "is too long");
        }
    }

    fn check_fields(&mut self, place: &str, schema: &Object, fields: &Map<String, Value>) {
        for (name, schema_of_field) in &schema.properties {
            match fields.get(name) {
                Some(value) => self.check(&field(place, name), schema_of_field, value),
                None if schema.required.contains(name) => {
                    let problem = format!("{place} '{name}' is a required property");
                    self.problems.push(problem.trim_start().to_owned());
                }
                None => {}
            }
        }
        let others = schema.additional_properties.as_deref();
        if matches!(others, Some(AdditionalProperties::FreeForm(false))) {
            for name in fields.keys().filter(|name| !schema.properties.contains_key(*name)) {
                let shown = python_repr(&Value::from(name.as_str()));
                self.problems.push(format!(
                    "{place} Additional properties are not allowed ({shown} was unexpected)"
                ));
            }
        }
    }

    fn report(&mut self, place: &str, value: &Value, why: &str) {
        self.problems.push(format!("{place} {} {why}", python_repr(value)).trim_start().to_owned());
    }
}

fn field(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}['{name}']") }
}

fn types(schema: &Object) -> &[Type] {
    match &schema.schema_type {
        SchemaType::Type(one) => slice::from_ref(one),
        SchemaType::Array(several) => several,
        SchemaType::AnyValue => &[],
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if types(object) == [Type::Null])
}

fn is_of_type(value: &Value, wanted: &Type) -> bool {
    match wanted {
        Type::Object => value.is_object(),
        Type::String => value.is_string(),
        Type::Integer => value.is_i64() || value.is_u64(),
        Type::Number => value.is_number(),
        Type::Boolean => value.is_boolean(),
        Type::Array => value.is_array(),
        Type::Null => value.is_null(),
    }
}

/// As messages name it. They leave out that null is allowed too.
fn type_name(of: &Type) -> Option<&'static str> {
    Some(match of {
        Type::Object => "'object'",
        Type::String => "'string'",
        Type::Integer => "'integer'",
        Type::Number => "'number'",
        Type::Boolean => "'boolean'",
        Type::Array => "'array'",
        Type::Null => return None,
    })
}

fn bound(number: &Number) -> f64 {
    serde_json::to_value(number).ok().and_then(|it| it.as_f64()).unwrap_or_default()
}

fn custom_format(schema: &Object) -> Option<&str> {
    match &schema.format {
        Some(SchemaFormat::Custom(name)) => Some(name),
        _ => None,
    }
}

/// With hyphens. Trove's pattern also matches if a line feed follows.
fn is_uuid(text: &str) -> bool {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// One line, with a letter or digit of any script in it.
fn is_name(text: &str) -> bool {
    let line = text.strip_suffix('\n').unwrap_or(text);
    !line.contains('\n') && line.chars().any(char::is_alphanumeric)
}

/// As a number, or as the text or URL that clients make of it.
fn is_the_flavor(value: &Value) -> bool {
    match value {
        Value::String(text) => text == "1" || text.ends_with("/flavors/1"),
        other => other.as_u64() == Some(1),
    }
}

/// A value as Python prints it, cut short: clients compare these sentences with Trove's.
fn python_repr(value: &Value) -> String {
    let whole = match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let start: String = text.chars().take(SHOWN).collect();
            let escaped: String = start.chars().map(escape).collect();
            format!("'{escaped}'")
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().take(8).map(python_repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .take(8)
                .map(|(key, value)| {
                    format!("{}: {}", python_repr(&Value::from(key.as_str())), python_repr(value))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    };
    whole.chars().take(SHOWN).collect()
}

fn escape(letter: char) -> String {
    match letter {
        '\'' => "\\'".to_owned(),
        '\\' => "\\\\".to_owned(),
        control if control.is_control() => control.escape_default().to_string(),
        other => other.to_string(),
    }
}
