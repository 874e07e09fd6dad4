//! Enums of words: how a value is written in the catalog, in manifests, on the wire and in reports.

/// Declares an enum whose values each have a word, with `ALL` and `as_str`. `FromStr`, serde and the JSON schema
/// use the words.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $($(#[$meaning:meta])* $value:ident = $word:tt),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize,
            serde::Deserialize, utoipa::ToSchema,
        )]
        pub enum $name {
            $($(#[$meaning])* #[serde(rename = $word)] $value),+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$value),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            /// An unknown word is an error.
            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text).ok_or(())
            }
        }
    };
}

pub(crate) use words;
