//! Rust source as tokens: enough to find paths and string literals, and not to find them in comments.

/// One token. Comments, characters and lifetimes are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// An identifier, keyword or number.
    Word(String),
    /// What a string literal holds, escapes as written.
    Text(String),
    /// `::`
    Path,
    /// Any other character that means something.
    Mark(char),
}

impl Token {
    /// Whether it is this word.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(it) if it == word)
    }
}

/// The tokens of a source file.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: source.chars().collect(), at: 0, tokens: Vec::new() };
    while let Some(next) = lexer.peek(0) {
        lexer.token(next);
    }
    lexer.tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    tokens: Vec<Token>,
}

fn in_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn token(&mut self, next: char) {
        match (next, self.peek(1)) {
            ('/', Some('/')) => self.skip_while(|it| it != '\n'),
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.text(None),
            ('\'', _) => self.character_or_lifetime(),
            (':', Some(':')) => self.push(Token::Path, 2),
            _ if in_word(next) => self.word(),
            _ if next.is_whitespace() => self.at += 1,
            _ => self.push(Token::Mark(next), 1),
        }
    }

    fn push(&mut self, token: Token, length: usize) {
        self.tokens.push(token);
        self.at += length;
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => (depth, self.at) = (depth + 1, self.at + 2),
                (Some('*'), Some('/')) => (depth, self.at) = (depth - 1, self.at + 2),
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        self.skip_while(in_word);
        let word: String = self.chars.iter().take(self.at).skip(start).collect();
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        let mut hashes = 0;
        while raw && self.peek(hashes) == Some('#') {
            hashes += 1;
        }
        match self.peek(hashes) {
            Some('"') if raw => {
                self.at += hashes;
                self.text(Some(hashes));
            }
            Some('"') if matches!(word.as_str(), "b" | "c") => self.text(None),
            Some('\'') if word == "b" => self.character_or_lifetime(),
            // A raw identifier: `r#type`.
            Some(_) if raw && hashes == 1 => self.at += 1,
            _ => self.tokens.push(Token::Word(word)),
        }
    }

    /// From the opening quote on. A raw literal ends with as many hashes as it began with.
    fn text(&mut self, raw: Option<usize>) {
        self.at += 1;
        let mut text = String::new();
        while let Some(next) = self.peek(0) {
            if next == '\\' && raw.is_none() {
                text.push(next);
                text.extend(self.peek(1));
                self.at += 2;
                continue;
            }
            let hashes = raw.unwrap_or(0);
            if next == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                break;
            }
            text.push(next);
            self.at += 1;
        }
        self.push(Token::Text(text), 1);
    }

    fn character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            self.at += 3;
            self.skip_while(|it| it != '\'');
            self.at += 1;
        } else if self.peek(2) == Some('\'') {
            self.at += 3;
        } else {
            self.at += 1;
            self.skip_while(in_word);
        }
    }
}

#[test]
fn paths_are_not_found_in_comments_strings_and_characters() {
    let source = r####"
        // crate::a
        /* crate::b /* "nested */ crate::c */
        let x = ("crate::d \" \\", r#"crate::"e"#, b"f", '"', '\'', '\u{1F600}', b'"', 'a');
        fn f<'long>(r#type: &'long str) -> crate::g {}
    "####;
    let words = tokens(source);
    assert_eq!(words.iter().filter(|it| it.is_word("crate")).count(), 1, "{words:?}");
    let texts: Vec<_> = words.iter().filter(|it| matches!(it, Token::Text(_))).cloned().collect();
    let expected = [r#"crate::d \" \\"#, "crate::\"e", "f"].map(|it| Token::Text(it.to_owned()));
    assert_eq!(texts, expected);
    assert!(words.iter().any(|it| it.is_word("type")));
}
