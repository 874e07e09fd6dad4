//! What sorts the text of a database.

use serde::{Deserialize, Serialize};

/// What sorts the text of new databases, if that is not the C library.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocaleProvider {
    /// `i`: ICU; `b`: the server itself; nothing before version 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<String>,
}

impl LocaleProvider {
    /// The options of `initdb`, as far as one of this version has them.
    pub(super) fn options(&self, major: u32) -> Vec<String> {
        let Self { provider, locale, rules } = self;
        let (name, option) = match provider.as_deref() {
            Some("i") if major >= 15 => ("icu", "--icu-locale"),
            Some("b") if major >= 17 => ("builtin", "--builtin-locale"),
            _ => return Vec::new(),
        };
        let mut options = vec![format!("--locale-provider={name}")];
        options.extend(locale.iter().map(|it| format!("{option}={it}")));
        options.extend(rules.iter().filter(|_| major >= 16).map(|it| format!("--icu-rules={it}")));
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_gets_what_its_version_of_initdb_knows() {
        let of = |provider: &str| LocaleProvider {
            provider: Some(provider.to_owned()),
            locale: Some("de".to_owned()),
            rules: Some("&a < g".to_owned()),
        };
        assert_eq!(of("i").options(15), ["--locale-provider=icu", "--icu-locale=de"]);
        assert_eq!(of("i").options(16).last().unwrap(), "--icu-rules=&a < g");
        assert_eq!(of("b").options(17)[1], "--builtin-locale=de");
        for (provider, major) in [("i", 14), ("b", 16), ("c", 18)] {
            assert!(of(provider).options(major).is_empty());
        }
        assert!(LocaleProvider::default().options(18).is_empty());
    }
}
