//! Which rooms a source file names.

use super::lexer::{Token, tokens};

/// A source file: where it stands in the tree of modules, and its tokens.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file, below `src`.
    pub(crate) file: String,
    /// Its module: `["storage", "local"]`.
    pub(crate) module: Vec<String>,
    /// Whether the whole of it is compiled for tests only.
    pub(crate) test_only: bool,
    /// What it says.
    pub(crate) tokens: Vec<Token>,
}

impl Source {
    /// The file with the module that its path says.
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let stem = file.trim_end_matches(".rs");
        let mut module: Vec<String> = stem.split('/').map(ToOwned::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        Self { file: file.to_owned(), module, test_only: false, tokens: tokens(text) }
    }

    /// The room it belongs to.
    pub(crate) fn room(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    /// Its tokens but those of inline modules under `#[cfg(test)]`.
    pub(crate) fn tokens_outside_tests(&self) -> Vec<Token> {
        let mut kept = Vec::new();
        let mut rest = self.tokens.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            if is_test_module(rest) {
                rest = behind_braces(rest);
            } else {
                kept.push(first.clone());
                rest = behind;
            }
        }
        kept
    }
}

/// `#[cfg(test)] mod name {`, other attributes between them or not.
fn is_test_module(tokens: &[Token]) -> bool {
    let cfg_test = super::lexer::tokens("#[cfg(test)]");
    let Some(mut rest) = tokens.strip_prefix(cfg_test.as_slice()) else { return false };
    while let [Token::Mark('#'), Token::Mark('['), behind @ ..] = rest {
        let end = behind.iter().position(|it| *it == Token::Mark(']')).map_or(0, |it| it + 1);
        rest = behind.get(end..).unwrap_or_default();
    }
    matches!(rest, [word, Token::Word(_), Token::Mark('{'), ..] if word.is_word("mod"))
}

fn behind_braces(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_u32;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return tokens.get(at + 1..).unwrap_or_default();
        }
    }
    &[]
}

/// A path from the crate's root that a source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its parts; `*` for everything below.
    pub(crate) parts: Vec<String>,
    /// Whether it is named to be given to others under another name (`pub use`).
    pub(crate) given_on: bool,
}

/// Every path from the crate's root that this source names: `crate::…`, `super::…`, `self::…`, and in
/// `main.rs`, which is another crate, `coffer::…`; in `use` groups, however nested, each member.
pub(crate) fn named(source: &Source) -> Vec<Named> {
    let mut scanner = Scanner {
        tokens: &source.tokens,
        at: 0,
        module: source.module.clone(),
        inline: Vec::new(),
        depth: 0,
        given_on: false,
        named: Vec::new(),
    };
    if source.module == ["main"] {
        scanner.module.clear();
    }
    while scanner.at < scanner.tokens.len() {
        scanner.step(source.module == ["main"]);
    }
    scanner.named
}

struct Scanner<'a> {
    tokens: &'a [Token],
    at: usize,
    module: Vec<String>,
    inline: Vec<u32>,
    depth: u32,
    given_on: bool,
    named: Vec<Named>,
}

impl Scanner<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn word(&self) -> Option<&str> {
        match self.token(0) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn step(&mut self, in_main: bool) {
        match self.token(0) {
            Some(Token::Mark('{')) => self.depth += 1,
            Some(Token::Mark('}')) => self.close(),
            Some(Token::Mark(';')) => self.given_on = false,
            Some(Token::Word(word)) => {
                let root = match word.as_str() {
                    "crate" => Some(Vec::new()),
                    "coffer" if in_main => Some(Vec::new()),
                    "self" | "super" => Some(self.module.clone()),
                    _ => None,
                };
                let whole_crate = word == "crate" && self.is_use_of_whole_crate();
                let leads_on = self.token(1) == Some(&Token::Path);
                if let Some(root) = root.filter(|_| leads_on || whole_crate) {
                    let root_word = word != "self" && word != "super";
                    self.at += usize::from(root_word) * (1 + usize::from(leads_on));
                    return self.tree(root);
                }
                self.item();
            }
            _ => {}
        }
        self.at += 1;
    }

    /// `use crate as name` and `use {crate as name}`.
    fn is_use_of_whole_crate(&self) -> bool {
        self.token(1).is_some_and(|it| it.is_word("as"))
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.inline.last() == Some(&self.depth) {
            self.inline.pop();
            self.module.pop();
        }
    }

    /// Notes `mod name {` and `pub use`.
    fn item(&mut self) {
        match (self.word(), self.token(1), self.token(2)) {
            (Some("mod"), Some(Token::Word(name)), Some(Token::Mark('{'))) => {
                let name = name.clone();
                self.module.push(name);
                self.inline.push(self.depth);
            }
            (Some("use"), _, _) => {
                let before = self.tokens.get(..self.at).unwrap_or_default();
                // `pub use` or `pub(…) use`.
                let open = before.iter().rposition(|it| *it == Token::Mark('('));
                let public = match before.last() {
                    Some(Token::Mark(')')) => open.and_then(|at| before.get(at.checked_sub(1)?)),
                    last => last,
                };
                self.given_on = public.is_some_and(|it| it.is_word("pub"));
            }
            _ => {}
        }
    }

    /// The rest of a path, or of a tree of them.
    fn tree(&mut self, mut base: Vec<String>) {
        loop {
            match self.token(0) {
                Some(Token::Word(word)) if word == "super" => {
                    if base.pop().is_none() {
                        base.push("super".to_owned());
                    }
                }
                Some(Token::Word(word)) if word == "self" => {}
                // The name that `use crate as name` gives to everything.
                Some(Token::Word(word)) if word == "as" => base.push("*".to_owned()),
                Some(Token::Word(word)) => base.push(word.clone()),
                Some(Token::Mark('*')) => base.push("*".to_owned()),
                Some(Token::Mark('{')) => return self.group(&base),
                _ => return self.leaf(base),
            }
            self.at += 1;
            if self.token(0) != Some(&Token::Path) {
                return self.leaf(base);
            }
            self.at += 1;
        }
    }

    fn group(&mut self, base: &[String]) {
        self.at += 1;
        while let Some(token) = self.token(0) {
            match token {
                Token::Mark('}') => {
                    self.at += 1;
                    return;
                }
                Token::Mark(',') => self.at += 1,
                Token::Word(word) if word == "as" => self.at += 2,
                _ => {
                    let before = self.at;
                    self.tree(base.to_vec());
                    self.at = self.at.max(before + 1);
                }
            }
        }
    }

    fn leaf(&mut self, parts: Vec<String>) {
        self.named.push(Named { parts, given_on: self.given_on });
    }
}

/// A module that a source declares and that lies in another file.
#[derive(Debug)]
pub(crate) struct Declared {
    /// Its path from the crate's root.
    pub(crate) module: Vec<String>,
    /// Its file below `src`, where `#[path = "…"]` gives one.
    pub(crate) file: Option<String>,
    /// Whether it is there for tests only.
    pub(crate) test_only: bool,
}

/// The modules that this source declares.
pub(crate) fn declared(source: &Source) -> Vec<Declared> {
    let folder = source.file.rsplit_once('/').map_or("", |(folder, _name)| folder);
    let mut all = Vec::new();
    let (mut file, mut test_only) = (None, false);
    let mut rest = source.tokens.as_slice();
    while let Some((_first, behind)) = rest.split_first() {
        match rest {
            [Token::Word(cfg), Token::Mark('('), Token::Word(test), Token::Mark(')'), ..]
                if cfg == "cfg" && test == "test" =>
            {
                test_only = true;
            }
            [Token::Mark('['), Token::Word(path), Token::Mark('='), Token::Text(text), ..]
                if path == "path" =>
            {
                file = Some(format!("{folder}/{text}"));
            }
            [Token::Word(word), Token::Word(name), Token::Mark(';'), ..] if word == "mod" => {
                let mut module = source.module.clone();
                if module == ["lib"] {
                    module.clear();
                }
                module.push(name.clone());
                all.push(Declared { module, file: file.take(), test_only });
            }
            [Token::Mark(';' | '{' | '}'), ..] => (file, test_only) = (None, false),
            _ => {}
        }
        rest = behind;
    }
    all
}
