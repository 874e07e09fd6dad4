//! What a tool's error means. This is the only place that searches the words of tools; each engine brings
//! its tables of rules as data.

use super::ToolError;
use crate::domain::FailureCode;

/// One thing that can go wrong: how to recognise it, its kind, and what to do about it.
#[derive(Debug)]
pub(crate) struct Rule<A = &'static str> {
    sign: Sign,
    pub(crate) code: FailureCode,
    pub(crate) advice: A,
}

#[derive(Debug)]
enum Sign {
    Says(&'static [&'static str]),
    TimedOut,
}

impl<A> Rule<A> {
    /// The tool said any of `words`.
    pub(crate) const fn says(words: &'static [&'static str], code: FailureCode, advice: A) -> Self {
        Self { sign: Sign::Says(words), code, advice }
    }

    /// The tool did not finish in time.
    pub(crate) const fn timed_out(code: FailureCode, advice: A) -> Self {
        Self { sign: Sign::TimedOut, code, advice }
    }
}

/// A table of rules. The first rule that applies counts.
#[derive(Debug)]
pub(crate) struct Rules<A: 'static = &'static str> {
    /// Compare without regard to the case of ASCII letters; the rules' words are lower case then.
    pub(crate) ignore_case: bool,
    pub(crate) list: &'static [Rule<A>],
}

impl<A> Rules<A> {
    /// The rule for this error, if there is one.
    pub(crate) fn classify(&self, error: &ToolError) -> Option<&'static Rule<A>> {
        let output = if self.ignore_case {
            error.output().to_ascii_lowercase()
        } else {
            error.output().to_owned()
        };
        self.list.iter().find(|rule| match rule.sign {
            Sign::Says(words) => says_any(&output, words),
            Sign::TimedOut => matches!(error, ToolError::TimedOut { .. }),
        })
    }
}

/// Whether `text` contains any of `words`.
pub(crate) fn says_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> ToolError {
        ToolError::answer("tool", text)
    }

    const LIST: &[Rule] = &[
        Rule::says(&["denied", "no entry"], FailureCode::SourceDenied, "one"),
        Rule::says(&["den"], FailureCode::SourceMissing, "two"),
        Rule::timed_out(FailureCode::SourceLocked, "three"),
    ];

    #[test]
    fn the_first_rule_that_applies_counts() {
        let rules = Rules { ignore_case: false, list: LIST };
        let advice = |error: &ToolError| rules.classify(error).map(|rule| rule.advice);
        assert_eq!(advice(&answer("it was denied")), Some("one"));
        assert_eq!(advice(&answer("no entry")), Some("one"));
        assert_eq!(advice(&answer("a den")), Some("two"));
        assert_eq!(advice(&answer("it was Denied")), None);
        let late =
            ToolError::TimedOut { name: "tool".to_owned(), seconds: 1, output: String::new() };
        assert_eq!(advice(&late), Some("three"));
    }

    #[test]
    fn case_is_ignored_where_a_table_asks_for_it() {
        let rules = Rules { ignore_case: true, list: LIST };
        assert!(rules.classify(&answer("DENIED")).is_some());
    }
}
