//! Reading a value that is one of a few words, with an error that lists them.

use serde::de::value::Error as WordError;
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer as _};
use serde::{Deserialize as _, Deserializer};

/// A value of an enum by its word. The `config` crate's own error for an unknown one speaks of constructors.
pub(super) fn one<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    parse(String::deserialize(input)?).map_err(D::Error::custom)
}

/// A list of words.
pub(super) fn many<'de, D, T>(input: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let words = Vec::<String>::deserialize(input)?;
    words.into_iter().map(parse).collect::<Result<_, _>>().map_err(D::Error::custom)
}

fn parse<T: DeserializeOwned>(word: String) -> Result<T, WordError> {
    T::deserialize(word.into_deserializer())
}
