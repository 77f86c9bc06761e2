//! Where one statement of a file ends and the next begins.
//!
//! PostgreSQL's lexical rules as far as they decide that: comments, quoted text, quoted names, dollar quotes, brackets,
//! and the bodies of `BEGIN ATOMIC .. END`. Deliberately absent: a grammar; whether a statement is right, the server says.

use std::iter::Peekable;
use std::str::CharIndices;

/// One statement, without the `;` behind it and the comments before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// From its first word to its last.
    pub(crate) text: &'a str,
    /// The line of the file on which it begins, from 1.
    pub(crate) line: u32,
    /// Its words, names and signs; texts and numbers are one kind of token.
    pub(crate) tokens: Vec<Token<'a>>,
}

/// What a statement is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A key word or an unquoted name, as written.
    Word(&'a str),
    /// A quoted name, unquoted.
    Name(String),
    /// A text or a number.
    Literal,
    /// Anything else, a character at a time.
    Sign(char),
}

impl Token<'_> {
    /// Whether this is the key word `word` (in upper case).
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    /// The name it stands for: unquoted ones are lower case to PostgreSQL.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Token::Word(word) => Some(word.to_lowercase()),
            Token::Name(name) => Some(name.clone()),
            Token::Literal | Token::Sign(_) => None,
        }
    }
}

/// Something begins that never ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what} that begins here does not end")]
pub(crate) struct Unterminated {
    /// What.
    pub(crate) what: &'static str,
    /// Where it begins.
    pub(crate) line: u32,
}

/// The statements of `sql`, in order.
pub(crate) fn statements(sql: &str) -> Result<Vec<Statement<'_>>, Unterminated> {
    let mut lexer = Lexer { sql, chars: sql.char_indices().peekable(), line: 1 };
    let mut found = Vec::new();
    let mut open = Open::default();
    while let Some(lexeme) = lexer.next()? {
        if lexeme.token == Token::Sign(';') && open.is_outermost() {
            found.extend(open.close(sql));
        } else {
            open.push(lexeme);
        }
    }
    found.extend(open.close(sql));
    Ok(found)
}

/// A token and where it stands.
struct Lexeme<'a> {
    token: Token<'a>,
    start: usize,
    end: usize,
    line: u32,
}

/// The statement being read.
#[derive(Default)]
struct Open<'a> {
    tokens: Vec<Token<'a>>,
    start: usize,
    end: usize,
    line: u32,
    brackets: u32,
    /// Open `BEGIN ATOMIC` and the `CASE`s within.
    bodies: u32,
}

impl<'a> Open<'a> {
    fn is_outermost(&self) -> bool {
        self.brackets == 0 && self.bodies == 0
    }

    fn push(&mut self, lexeme: Lexeme<'a>) {
        if self.tokens.is_empty() {
            (self.start, self.line) = (lexeme.start, lexeme.line);
        }
        self.end = lexeme.end;
        match &lexeme.token {
            Token::Sign('(') => self.brackets += 1,
            Token::Sign(')') => self.brackets = self.brackets.saturating_sub(1),
            token if token.is("ATOMIC") && self.tokens.last().is_some_and(|last| last.is("BEGIN")) => {
                self.bodies += 1;
            }
            token if self.bodies > 0 && token.is("CASE") => self.bodies += 1,
            token if self.bodies > 0 && token.is("END") => self.bodies -= 1,
            _ => {}
        }
        self.tokens.push(lexeme.token);
    }

    fn close(&mut self, sql: &'a str) -> Option<Statement<'a>> {
        let open = std::mem::take(self);
        (!open.tokens.is_empty()).then(|| Statement {
            text: &sql[open.start..open.end],
            line: open.line,
            tokens: open.tokens,
        })
    }
}

struct Lexer<'a> {
    sql: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: u32,
}

impl<'a> Lexer<'a> {
    fn bump(&mut self) -> Option<(usize, char)> {
        let next = self.chars.next();
        if matches!(next, Some((_, '\n'))) {
            self.line += 1;
        }
        next
    }

    fn position(&mut self) -> usize {
        self.chars.peek().map_or(self.sql.len(), |&(at, _)| at)
    }

    fn rest(&mut self) -> &'a str {
        let at = self.position();
        &self.sql[at..]
    }

    /// Passes everything up to and including `end`.
    fn pass(&mut self, end: &str, what: &'static str, line: u32) -> Result<(), Unterminated> {
        let length = self.rest().find(end).ok_or(Unterminated { what, line })?;
        let target = self.position() + length + end.len();
        while self.position() < target {
            self.bump();
        }
        Ok(())
    }

    fn pass_while(&mut self, of: impl Fn(char) -> bool) {
        while self.chars.peek().is_some_and(|&(_, c)| of(c)) {
            self.bump();
        }
    }

    fn next(&mut self) -> Result<Option<Lexeme<'a>>, Unterminated> {
        self.pass_blanks_and_comments()?;
        let (start, line) = (self.position(), self.line);
        let Some((_, first)) = self.bump() else { return Ok(None) };
        let token = self.token(first, start, line)?;
        Ok(Some(Lexeme { token, start, end: self.position(), line }))
    }

    fn pass_blanks_and_comments(&mut self) -> Result<(), Unterminated> {
        loop {
            self.pass_while(|c| c.is_whitespace() || c == '\u{feff}');
            let rest = self.rest();
            if rest.starts_with("--") {
                self.pass_while(|c| c != '\n');
            } else if rest.starts_with("/*") {
                self.pass_block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// They nest.
    fn pass_block_comment(&mut self) -> Result<(), Unterminated> {
        let line = self.line;
        let mut depth = 0u32;
        loop {
            let rest = self.rest();
            let step = match rest.as_bytes() {
                [b'/', b'*', ..] => 1,
                [b'*', b'/', ..] => -1,
                [] => return Err(Unterminated { what: "a comment", line }),
                _ => 0,
            };
            self.bump();
            if step != 0 {
                self.bump();
                depth = depth.saturating_add_signed(step);
                if depth == 0 {
                    return Ok(());
                }
            }
        }
    }

    fn token(&mut self, first: char, start: usize, line: u32) -> Result<Token<'a>, Unterminated> {
        match first {
            '\'' => self.text(false, line),
            '"' => self.quoted_name(start, line),
            '$' => self.dollar(start, line),
            _ if first.is_ascii_digit() => {
                self.pass_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
                Ok(Token::Literal)
            }
            _ if begins_word(first) => {
                self.pass_while(|c| begins_word(c) || c.is_ascii_digit() || c == '$');
                let end = self.position();
                let word = &self.sql[start..end];
                if self.rest().starts_with('\'') && matches!(word, "e" | "E") {
                    self.bump();
                    return self.text(true, line);
                }
                Ok(Token::Word(word))
            }
            _ => Ok(Token::Sign(first)),
        }
    }

    /// The rest of a text; `''` is a quote within, and so is `\'` in an `E'..'`.
    fn text(&mut self, escapes: bool, line: u32) -> Result<Token<'a>, Unterminated> {
        loop {
            match self.bump() {
                None => return Err(Unterminated { what: "a text in quotes", line }),
                Some((_, '\\')) if escapes => {
                    self.bump();
                }
                Some((_, '\'')) if self.rest().starts_with('\'') => {
                    self.bump();
                }
                Some((_, '\'')) => return Ok(Token::Literal),
                Some(_) => {}
            }
        }
    }

    fn quoted_name(&mut self, start: usize, line: u32) -> Result<Token<'a>, Unterminated> {
        loop {
            self.pass("\"", "a name in double quotes", line)?;
            if !self.rest().starts_with('"') {
                let end = self.position();
                return Ok(Token::Name(self.sql[start + 1..end - 1].replace("\"\"", "\"")));
            }
            self.bump();
        }
    }

    /// `$$..$$`, `$tag$..$tag$`, or the sign alone (`$1`).
    fn dollar(&mut self, start: usize, line: u32) -> Result<Token<'a>, Unterminated> {
        let rest = self.rest();
        let tag = rest.find(|c: char| !begins_word(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
        if rest[tag..].starts_with('$') && !rest.starts_with(|c: char| c.is_ascii_digit()) {
            let delimiter = &self.sql[start..start + tag + 2];
            self.pass("$", "a text in dollar quotes", line)?;
            self.pass(delimiter, "a text in dollar quotes", line)?;
            return Ok(Token::Literal);
        }
        Ok(Token::Sign('$'))
    }
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(sql: &str) -> Vec<(u32, &str)> {
        statements(sql).unwrap().into_iter().map(|one| (one.line, one.text)).collect()
    }

    #[test]
    fn statements_end_at_semicolons_and_begin_after_comments() {
        let sql = "-- first; not this\n\nSELECT 1;\n/* a; /* nested; */ b; */ SELECT\n2 -- last;\n;;\n";
        assert_eq!(texts(sql), [(3, "SELECT 1"), (4, "SELECT\n2")]);
        assert_eq!(texts("SELECT 1"), [(1, "SELECT 1")], "the last needs no semicolon");
        assert!(texts(" -- nothing\n /* at all */ ").is_empty());
    }

    #[test]
    fn a_semicolon_within_quotes_ends_nothing() {
        for sql in [
            "SELECT 'a;b''c;', 2",
            r"SELECT E'it\'s;', e'\\;'",
            r#"SELECT "a;""b;" FROM t"#,
            "SELECT $$ a; b; $$, $q$ ; $$ ; $q$",
            "DO $do$ BEGIN PERFORM 1; END $do$",
            "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
            "SELECT a$b$ , c$b$",
        ] {
            let both = format!("{sql};\nSELECT 2;");
            assert_eq!(texts(&both), [(1, sql), (2, "SELECT 2")]);
        }
    }

    #[test]
    fn a_backslash_escapes_nothing_in_a_plain_text() {
        assert_eq!(texts(r"SELECT '\'; SELECT 2"), [(1, r"SELECT '\'"), (1, "SELECT 2")]);
    }

    #[test]
    fn a_parameter_is_no_dollar_quote() {
        assert_eq!(
            texts("PREPARE p AS SELECT $1; SELECT $1"),
            [(1, "PREPARE p AS SELECT $1"), (1, "SELECT $1")]
        );
    }

    #[test]
    fn what_does_not_end_is_said_with_the_line_on_which_it_begins() {
        for (sql, what) in [
            ("SELECT 1;\nSELECT 'a\nb", "a text in quotes"),
            ("SELECT 1;\nSELECT \"a\nb", "a name in double quotes"),
            ("SELECT 1;\n/* a\n/* b */", "a comment"),
            ("SELECT 1;\nDO $x$ a\n$$", "a text in dollar quotes"),
        ] {
            assert_eq!(statements(sql), Err(Unterminated { what, line: 2 }), "{sql}");
        }
    }

    #[test]
    fn names_are_read_as_postgresql_reads_them() {
        let sql = r#"CREATE TABLE Market."Tra""des" (x int)"#;
        let names: Vec<_> = statements(sql).unwrap()[0].tokens.iter().filter_map(Token::name).collect();
        assert_eq!(names, ["create", "table", "market", "Tra\"des", "x", "int"]);
    }

    proptest! {
        #[test]
        fn any_text_ends_and_loses_no_line(sql in r#"[a-zE'"$;*/\\ \n()é-]{0,60}"#) {
            if let Ok(found) = statements(&sql) {
                for one in found {
                    let at = one.text.as_ptr() as usize - sql.as_ptr() as usize;
                    let line = sql[..at].matches('\n').count() + 1;
                    prop_assert_eq!(one.line as usize, line);
                    prop_assert!(one.text.trim() == one.text && !one.text.is_empty());
                }
            }
        }

        #[test]
        fn quoted_values_survive_between_statements(value in ".{0,30}") {
            let first = format!("SELECT '{}'", value.replace('\'', "''"));
            let sql = format!("{first}; SELECT 2");
            let found = statements(&sql).unwrap();
            prop_assert_eq!(found.len(), 2);
            prop_assert_eq!(found[0].text, first.as_str());
        }
    }
}
