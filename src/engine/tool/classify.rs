//! What a tool's error means. Only this code looks for phrases in the output of external programs; each engine
//! brings its rules as data.

use super::ToolError;
use crate::domain::FailureCode;
use crate::engine::EngineError;

/// One thing that can go wrong: phrases of which the tool then says one, the failure code, and what to do about it
/// ("" for no advice).
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) words: &'static [&'static str],
    pub(crate) code: FailureCode,
    pub(crate) advice: &'static str,
}

/// Is appended to the output of a tool that did not finish in time, so that a rule can match it.
pub(crate) const TIMED_OUT: &str = "did not end in time";

/// A table of [`Rule`]s, one in each line: failure code, phrases, advice.
macro_rules! rules {
    ($($code:ident: $($words:expr),+ => $advice:expr;)+) => {
        &[$($crate::engine::tool::Rule {
            words: &[$($words),+],
            code: $crate::domain::FailureCode::$code,
            advice: $advice,
        }),+]
    };
}
pub(crate) use rules;

/// The first rule that applies. The case of letters does not matter.
pub(crate) fn find_rule<'a>(rules: &'a [Rule], error: &ToolError) -> Option<&'a Rule> {
    let mut output = error.output().to_lowercase();
    if matches!(error, ToolError::TimedOut { .. }) {
        output.push_str(TIMED_OUT);
    }
    let says = |word: &&str| output.contains(&word.to_lowercase());
    rules.iter().find(|rule| rule.words.iter().any(says))
}

/// Gives a tool's error its failure code and advice. `context` says which server or what was tried; `complete`
/// may replace placeholders in the advice.
pub(crate) fn classify(
    rules: &[Rule],
    error: EngineError,
    context: &str,
    complete: impl FnOnce(&str) -> String,
) -> EngineError {
    let EngineError::Tool(error) = error else { return error };
    match find_rule(rules, &error) {
        Some(rule) => EngineError::from_tool(&error, rule.code, context, &complete(rule.advice)),
        None => EngineError::from_tool(&error, FailureCode::Tool, context, ""),
    }
}

/// Whether `text` contains any of `words`, with regard to case.
pub(crate) fn says_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}
