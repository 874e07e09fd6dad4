//! Fields of a body, checked one by one. All problems are collected, so that a client learns of every
//! one at once, in the sentences of Trove's own validation.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::api::error::ApiError;

/// The longest text a field may hold, in characters.
const LONGEST: usize = 255;
/// What an id has to look like, as Trove prints it.
const UUID_PATTERN: &str =
    "'^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'";
/// Characters of a value that a message repeats.
const SHOWN: usize = 300;

/// Whether a field may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Presence {
    /// It has to be there.
    Required,
    /// It may be left out, but not be null.
    Optional,
    /// It may be left out or null.
    Nullable,
}

/// An object of the body and where it stands, as messages show it.
#[derive(Debug, Clone)]
pub(in crate::api) struct Object<'v> {
    place: String,
    fields: &'v Map<String, Value>,
}

impl<'v> Object<'v> {
    /// The fields themselves.
    pub(in crate::api) fn fields(&self) -> &'v Map<String, Value> {
        self.fields
    }

    /// How messages name a field.
    pub(in crate::api) fn name(&self, field: &str) -> String {
        format!("{}['{field}']", self.place)
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(in crate::api) struct Checker {
    problems: Vec<String>,
}

impl Checker {
    /// The object under the one key that the body has to have.
    pub(in crate::api) fn root<'v>(
        &mut self,
        body: &'v Value,
        key: &'static str,
    ) -> Result<Object<'v>, ApiError> {
        let found = match body {
            Value::Object(fields) => fields.get(key),
            other => return Err(sentence(&[format!("{} is not of type 'object'", repr(other))])),
        };
        match found {
            Some(Value::Object(fields)) => Ok(Object { place: key.to_owned(), fields }),
            Some(other) => {
                Err(sentence(&[format!("{key} {} is not of type 'object'", repr(other))]))
            }
            None => Err(sentence(&[format!("'{key}' is a required property")])),
        }
    }

    /// Says that something is wrong with a field.
    pub(in crate::api) fn complain(&mut self, object: &Object<'_>, field: &str, why: &str) {
        let shown = object.fields.get(field).map_or_else(|| "None".to_owned(), repr);
        self.problems.push(format!("{} {shown} {why}", object.name(field)));
    }

    /// The value of a field, if it is there and not a null that is allowed.
    pub(in crate::api) fn value<'v>(
        &mut self,
        object: &Object<'v>,
        field: &str,
        presence: Presence,
    ) -> Option<&'v Value> {
        match object.fields.get(field) {
            None if presence == Presence::Required => {
                self.problems.push(format!("{} '{field}' is a required property", object.place));
                None
            }
            Some(Value::Null) if presence == Presence::Nullable => None,
            found => found,
        }
    }

    /// A text that is not empty.
    pub(in crate::api) fn text<'v>(
        &mut self,
        object: &Object<'v>,
        field: &str,
        presence: Presence,
    ) -> Option<&'v str> {
        let Some(text) = self.value(object, field, presence)?.as_str() else {
            self.complain(object, field, "is not of type 'string'");
            return None;
        };
        if text.is_empty() {
            self.complain(object, field, "should be non-empty");
        }
        Some(text)
    }

    /// A text of up to 255 characters in one line, with a letter or digit of any script in it.
    pub(in crate::api) fn words<'v>(
        &mut self,
        object: &Object<'v>,
        field: &str,
        presence: Presence,
    ) -> Option<&'v str> {
        let text = self.text(object, field, presence)?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        if line.contains('\n') || !line.chars().any(char::is_alphanumeric) {
            self.complain(object, field, "should be one line with at least one letter or digit");
        }
        if text.chars().count() > LONGEST {
            self.complain(object, field, "is too long");
        }
        Some(text)
    }

    /// An id, in upper or lower case.
    pub(in crate::api) fn uuid(
        &mut self,
        object: &Object<'_>,
        field: &str,
        presence: Presence,
    ) -> Option<Uuid> {
        let text = self.text(object, field, presence)?;
        // Trove's pattern lets one line end through.
        let text = text.strip_suffix('\n').unwrap_or(text);
        let found = Uuid::try_parse(text).ok().filter(|_id| text.len() == 36);
        if found.is_none() {
            self.complain(object, field, &format!("does not match {UUID_PATTERN}"));
        }
        found
    }

    /// A whole number from `least` to `most`. 1.0 is none.
    pub(in crate::api) fn integer(
        &mut self,
        object: &Object<'_>,
        field: &str,
        (least, most): (i64, i64),
    ) -> Option<i64> {
        let value = self.value(object, field, Presence::Optional)?;
        match value.as_i64() {
            Some(number) if number < least => {
                self.complain(object, field, &format!("is less than the minimum of {least}"));
            }
            Some(number) if number > most => {
                self.complain(object, field, &format!("is greater than the maximum of {most}"));
            }
            Some(number) => return Some(number),
            None if value.is_u64() => {
                self.complain(object, field, &format!("is greater than the maximum of {most}"));
            }
            None => self.complain(object, field, "is not of type 'integer'"),
        }
        None
    }

    /// A number that is not negative.
    pub(in crate::api) fn amount(&mut self, object: &Object<'_>, field: &str, presence: Presence) {
        let Some(value) = self.value(object, field, presence) else { return };
        match value.as_f64() {
            Some(number) if number < 0.0 => {
                self.complain(object, field, "is less than the minimum of 0");
            }
            Some(_number) => {}
            None => self.complain(object, field, "is not of type 'number'"),
        }
    }

    /// An object below this one.
    pub(in crate::api) fn object<'v>(
        &mut self,
        object: &Object<'v>,
        field: &str,
        presence: Presence,
    ) -> Option<Object<'v>> {
        match self.value(object, field, presence)? {
            Value::Object(fields) => Some(Object { place: object.name(field), fields }),
            _ => {
                self.complain(object, field, "is not of type 'object'");
                None
            }
        }
    }

    /// Refuses fields that are not among these.
    pub(in crate::api) fn nothing_but(&mut self, object: &Object<'_>, known: &[&str]) {
        for field in object.fields.keys().filter(|field| !known.contains(&field.as_str())) {
            let shown = repr(&Value::from(field.as_str()));
            self.problems.push(format!(
                "{} Additional properties are not allowed ({shown} was unexpected)",
                object.place
            ));
        }
    }

    /// An error with everything that was wrong, if anything was.
    pub(in crate::api) fn finish(self) -> Result<(), ApiError> {
        if self.problems.is_empty() { Ok(()) } else { Err(sentence(&self.problems)) }
    }
}

fn sentence(problems: &[String]) -> ApiError {
    ApiError::BadRequest(format!("Validation error: {}", problems.join("; ")))
}

/// A value as Python prints it, cut short: clients compare these sentences with Trove's.
fn repr(value: &Value) -> String {
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
            let items: Vec<String> = items.iter().take(8).map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .take(8)
                .map(|(key, value)| {
                    format!("{}: {}", repr(&Value::from(key.as_str())), repr(value))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaint(body: &Value, look: impl Fn(&mut Checker, &Object<'_>)) -> String {
        let mut check = Checker::default();
        let object = check.root(body, "backup").unwrap();
        look(&mut check, &object);
        check.finish().err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn every_problem_is_told_at_once_in_troves_words() {
        let body = json!({"backup": {"name": true, "instance": "abc", "incremental": 7}});
        let told = complaint(&body, |check, object| {
            check.integer(object, "incremental", (0, 1));
            check.uuid(object, "instance", Presence::Optional);
            check.words(object, "name", Presence::Required);
            check.words(object, "other", Presence::Required);
        });
        assert_eq!(
            told,
            format!(
                "Validation error: backup['incremental'] 7 is greater than the maximum of 1; \
                 backup['instance'] 'abc' does not match {UUID_PATTERN}; \
                 backup['name'] True is not of type 'string'; \
                 backup 'other' is a required property"
            )
        );
    }

    #[test]
    fn a_name_may_be_in_any_script_but_not_on_two_lines_or_mere_marks() {
        for good in ["a", "резерв ☃", "数据库", "a\u{0}b", "end\n", &"é".repeat(255)] {
            let told = complaint(&json!({"backup": {"name": good}}), |check, object| {
                check.words(object, "name", Presence::Required);
            });
            assert_eq!(told, "", "{good}");
        }
        for bad in ["", "...", "\nb", "a\nb", "☃", &"x".repeat(256)] {
            let told = complaint(&json!({"backup": {"name": bad}}), |check, object| {
                check.words(object, "name", Presence::Required);
            });
            assert!(told.starts_with("Validation error: backup['name'] '"), "{bad}: {told}");
        }
    }

    #[test]
    fn only_real_integers_count() {
        for bad in [json!(true), json!("1"), json!(1.0), json!(2), json!(-1), json!(null)] {
            let told = complaint(&json!({"backup": {"incremental": bad}}), |check, object| {
                check.integer(object, "incremental", (0, 1));
            });
            assert!(told.contains("backup['incremental']"), "{bad}: {told}");
        }
    }

    #[test]
    fn a_message_never_repeats_a_huge_value() {
        let body = json!({"backup": {"name": ["x".repeat(100_000)]}});
        let told = complaint(&body, |check, object| {
            check.words(object, "name", Presence::Required);
        });
        assert!(told.len() < 500, "{}", told.len());
    }
}
