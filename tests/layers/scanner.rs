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

/// A path that a source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its parts from the crate's root; `*` for everything below.
    pub(crate) parts: Vec<String>,
    /// Where it stands and what it is for.
    pub(crate) role: Role,
    /// The name that a `use` gives to it.
    pub(crate) alias: Option<String>,
    /// Whether it begins with a name of the module's own: it may as well be one of another crate.
    pub(crate) relative: bool,
}

/// What a path is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An expression, a type, a pattern.
    Mention,
    /// `use`
    Import,
    /// `pub use`: others may name it here.
    Reexport,
}

/// Every path with `::` that this source names, from the crate's root: `crate::…`, `super::…`, `self::…`, and in
/// `main.rs`, which is another crate, `coffer::…`; in `use` groups, however nested, each member. Other paths
/// are taken for ones below the module itself.
pub(crate) fn named(module: &[String], tokens: &[Token]) -> Vec<Named> {
    let in_main = module == ["main"];
    let module = if in_main { Vec::new() } else { module.to_vec() };
    let mut scanner = Scanner {
        tokens,
        at: 0,
        module,
        inline: Vec::new(),
        depth: 0,
        role: Role::Mention,
        named: Vec::new(),
    };
    while scanner.at < scanner.tokens.len() {
        scanner.step(in_main);
    }
    scanner.named
}

struct Scanner<'a> {
    tokens: &'a [Token],
    at: usize,
    module: Vec<String>,
    inline: Vec<u32>,
    depth: u32,
    role: Role,
    named: Vec<Named>,
}

impl Scanner<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn step(&mut self, in_main: bool) {
        match self.token(0) {
            Some(Token::Mark('{')) => self.depth += 1,
            Some(Token::Mark('}')) => self.close(),
            Some(Token::Mark(';')) => self.role = Role::Mention,
            Some(Token::Word(word)) => {
                if let Some((root, relative)) = self.start_of_path(word, in_main) {
                    let keyword = matches!(word.as_str(), "crate" | "coffer") && !relative;
                    let leads_on = self.token(1) == Some(&Token::Path);
                    self.at += usize::from(keyword) * (1 + usize::from(leads_on));
                    return self.tree(root, relative);
                }
                self.item();
            }
            _ => {}
        }
        self.at += 1;
    }

    /// The module that a path beginning with this word starts from, and whether the word is not a keyword.
    fn start_of_path(&self, word: &str, in_main: bool) -> Option<(Vec<String>, bool)> {
        let leads_on = self.token(1) == Some(&Token::Path);
        // `use crate as name` and `use {crate as name}`.
        let whole_crate = word == "crate" && self.token(1).is_some_and(|it| it.is_word("as"));
        match word {
            _ if !leads_on && !whole_crate => None,
            "crate" => Some((Vec::new(), false)),
            "coffer" if in_main => Some((Vec::new(), false)),
            "self" | "super" => Some((self.module.clone(), false)),
            _ => {
                let before = self.tokens.get(self.at.wrapping_sub(1));
                (before != Some(&Token::Path)).then(|| (self.module.clone(), true))
            }
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.inline.last() == Some(&self.depth) {
            self.inline.pop();
            self.module.pop();
        }
    }

    /// Notes `mod name {` and `use`.
    fn item(&mut self) {
        match (self.token(0), self.token(1), self.token(2)) {
            (Some(word), Some(Token::Word(name)), Some(Token::Mark('{')))
                if word.is_word("mod") =>
            {
                let name = name.clone();
                self.module.push(name);
                self.inline.push(self.depth);
            }
            (Some(word), _, _) if word.is_word("use") => {
                let before = self.tokens.get(..self.at).unwrap_or_default();
                // `pub use` or `pub(…) use`.
                let open = before.iter().rposition(|it| *it == Token::Mark('('));
                let public = match before.last() {
                    Some(Token::Mark(')')) => open.and_then(|at| before.get(at.checked_sub(1)?)),
                    last => last,
                };
                let public = public.is_some_and(|it| it.is_word("pub"));
                self.role = if public { Role::Reexport } else { Role::Import };
            }
            _ => {}
        }
    }

    /// The rest of a path, or of a tree of them.
    fn tree(&mut self, mut base: Vec<String>, relative: bool) {
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
                Some(Token::Mark('{')) => return self.group(&base, relative),
                _ => return self.leaf(base, relative),
            }
            self.at += 1;
            if self.token(0) != Some(&Token::Path) {
                return self.leaf(base, relative);
            }
            self.at += 1;
        }
    }

    fn group(&mut self, base: &[String], relative: bool) {
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
                    self.tree(base.to_vec(), relative);
                    self.at = self.at.max(before + 1);
                }
            }
        }
    }

    fn leaf(&mut self, parts: Vec<String>, relative: bool) {
        let alias = match (self.role, self.token(0), self.token(1)) {
            (Role::Mention, ..) => None,
            (_, Some(word), Some(Token::Word(alias))) if word.is_word("as") => Some(alias.clone()),
            _ => parts.last().cloned(),
        };
        self.named.push(Named { parts, role: self.role, alias, relative });
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
