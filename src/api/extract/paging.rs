//! The query of a request, and how many rows a page holds.

use actix_web::{HttpRequest, web};

use crate::api::error::ApiError;
use crate::domain::Limit;

/// The parameters of every list that has pages, for its documentation.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the values are read from the query one by one")]
pub(in crate::api) struct PageParameters {
    /// Rows a page; the server's maximum applies as well.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the page starts: from the link `next` of the page before, or the id of a row.
    marker: Option<String>,
}

/// The parameters that a query may have. Each takes many times its length in memory.
const MOST_PARAMETERS: usize = 100;

/// The parameters of a query, decoded, in the order they came.
#[derive(Debug, Clone)]
pub(in crate::api) struct Query(Vec<(String, String)>);

impl Query {
    pub(in crate::api) fn from_request(request: &HttpRequest) -> Result<Self, ApiError> {
        let separators = request.query_string().bytes().filter(|byte| *byte == b'&').count();
        if separators >= MOST_PARAMETERS {
            return Err(ApiError::BadRequest(format!(
                "The query has more than {MOST_PARAMETERS} parameters."
            )));
        }
        web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map(|query| Self(query.into_inner()))
            .map_err(|error| ApiError::BadRequest(format!("The query cannot be read: {error}")))
    }

    /// The value of a parameter. If it is given twice, both values must be the same.
    pub(in crate::api) fn once(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(key, _value)| key == name).map(|(_key, it)| it);
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return Err(ApiError::BadRequest(format!(
                "The parameter '{name}' is given more than once, with different values."
            )));
        }
        Ok(first.map(String::as_str))
    }

    /// The value of a parameter that is the same left out and empty.
    pub(in crate::api) fn filter(&self, name: &str) -> Result<Option<&str>, ApiError> {
        Ok(self.once(name)?.filter(|value| !value.is_empty()))
    }
}

/// Whether Trove reads this value of `all_projects` as yes. Everything else means no.
pub(in crate::api) fn truthy(value: &str) -> bool {
    ["1", "t", "true", "on", "y", "yes"].contains(&value.trim().to_ascii_lowercase().as_str())
}

/// The rows of a page: `default` unless the client says otherwise, and at most `most`.
pub(in crate::api) fn limit(query: &Query, default: u32, most: u32) -> Result<Limit, ApiError> {
    let Some(text) = query.filter("limit")? else { return Ok(Limit::clamped(default, most)) };
    let digits = text.trim();
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.bytes().all(|byte| byte == b'0') {
        return Err(ApiError::BadRequest(format!(
            "The value of 'limit' has to be a number above 0, not '{text:.40}'."
        )));
    }
    // A number that does not fit is more than any page holds.
    Ok(Limit::clamped(digits.parse().unwrap_or(u32::MAX), most))
}
