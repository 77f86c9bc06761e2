//! Cuts an SQL text into its statements, for files that must run outside a transaction: sent as one text, they would
//! share an implicit one.

/// The statements of `sql`, without their semicolons; comments stay with the statement they precede.
pub(super) fn statements(sql: &str) -> Vec<&str> {
    let bytes = sql.as_bytes();
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut has_words = false;
    while at < bytes.len() {
        let next = match bytes[at] {
            b'-' if bytes[at..].starts_with(b"--") => end_of_line(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_comment(bytes, at),
            b'\'' => {
                has_words = true;
                end_of_quote(bytes, at, b'\'', is_escape_string(bytes, at))
            }
            b'"' => {
                has_words = true;
                end_of_quote(bytes, at, b'"', false)
            }
            b'$' => {
                has_words = true;
                end_of_dollar_quote(sql, at).unwrap_or(at + 1)
            }
            b';' => {
                if has_words {
                    statements.push(sql[start..at].trim());
                }
                (start, has_words) = (at + 1, false);
                at + 1
            }
            byte => {
                has_words |= !byte.is_ascii_whitespace();
                at + 1
            }
        };
        at = next;
    }
    if has_words {
        statements.push(sql[start..].trim());
    }
    statements
}

fn end_of_line(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length + 1)
}

/// PostgreSQL's block comments nest.
fn end_of_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at.min(bytes.len())
}

/// `E'..'` knows backslashes.
fn is_escape_string(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|index| bytes[index]);
    matches!(before(1), Some(b'e' | b'E'))
        && !before(2).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn end_of_quote(bytes: &[u8], open: usize, quote: u8, escapes: bool) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `$tag$ .. $tag$`; `None` = a parameter or part of a name.
fn end_of_dollar_quote(sql: &str, at: usize) -> Option<usize> {
    let bytes = sql.as_bytes();
    if at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') {
        return None;
    }
    let length = sql[at + 1..].find('$')?;
    let tag = &sql[at..at + length + 2];
    let inner = &tag[1..tag.len() - 1];
    let is_tag = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    let body = at + tag.len();
    Some(sql[body..].find(tag).map_or(sql.len(), |length| body + length + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_semicolon_counts_only_between_statements() {
        let sql = "-- no-transaction\nselect ';' ; select \"a;b\"; /* ; /* ; */ ; */ do $$ begin; end; $$;\n\
                   select $tag$ $$ ; $tag$, $1;select e'\\';', 'it''s;';\n-- ;\n;  ";
        assert_eq!(
            statements(sql),
            [
                "-- no-transaction\nselect ';'",
                "select \"a;b\"",
                "/* ; /* ; */ ; */ do $$ begin; end; $$",
                "select $tag$ $$ ; $tag$, $1",
                "select e'\\';', 'it''s;'",
            ]
        );
    }

    #[test]
    fn the_last_statement_needs_no_semicolon_and_an_open_quote_no_end() {
        assert_eq!(statements("select 1; select 2"), ["select 1", "select 2"]);
        assert_eq!(statements("select 'open; "), ["select 'open;"]);
        assert_eq!(statements("select $a$ open; "), ["select $a$ open;"]);
        assert!(statements(" -- only a comment\n").is_empty());
    }
}
