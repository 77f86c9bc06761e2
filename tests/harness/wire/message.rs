//! What a client says, cut into messages, and which moment of a session each stands for.
//!
//! Deliberately absent: what the server says; it is passed as it comes.

use std::collections::BTreeMap;

/// A moment in the life of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The socket is open, nothing was said.
    Connect,
    /// The session is asked for.
    Startup,
    /// The client proves who it is.
    Login,
    /// A claim is about to become durable.
    ClaimCommit,
    /// A writer's transaction begins.
    Begin,
    /// Its COPY is asked for.
    Copy,
    /// Rows.
    CopyData,
    /// No more rows.
    CopyDone,
    /// The offsets move.
    Offsets,
    /// Rows and offsets are about to become durable.
    Commit,
}

impl Moment {
    /// All that happen again and again while rows flow.
    pub const OF_A_WRITE: [Self; 6] =
        [Self::Begin, Self::Copy, Self::CopyData, Self::CopyDone, Self::Offsets, Self::Commit];
    /// All that happen while a session begins.
    pub const OF_A_START: [Self; 3] = [Self::Connect, Self::Startup, Self::Login];

    /// Whether the server answers before the client goes on.
    pub(super) fn is_answered(self) -> bool {
        !matches!(self, Self::Connect | Self::CopyData)
    }
}

/// The transaction a session is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transaction {
    #[default]
    Other,
    Claim,
    Write,
}

/// One client's messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// The startup packet, which has no type, has passed.
    started: bool,
    /// What the prepared statements of interest stand for.
    statements: BTreeMap<Vec<u8>, Moment>,
    transaction: Transaction,
}

const STARTUP: u32 = 3 << 16;

impl Reader {
    /// More has come.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What has come and was not taken out.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<(Vec<u8>, Option<Moment>)> {
        let head = usize::from(self.started);
        let length = u32::from_be_bytes(self.buffer.get(head..head + 4)?.try_into().ok()?) as usize + head;
        if self.buffer.len() < length {
            return None;
        }
        let rest = self.buffer.split_off(length);
        let message = std::mem::replace(&mut self.buffer, rest);
        let moment = if self.started { self.moment(&message) } else { self.start(&message) };
        Some((message, moment))
    }

    /// A request for TLS comes before the startup packet and looks like it.
    fn start(&mut self, message: &[u8]) -> Option<Moment> {
        let code = u32::from_be_bytes(message.get(4..8)?.try_into().ok()?);
        self.started = code == STARTUP;
        self.started.then_some(Moment::Startup)
    }

    fn moment(&mut self, message: &[u8]) -> Option<Moment> {
        let body = &message[5..];
        match message[0] {
            b'p' => Some(Moment::Login),
            b'd' => Some(Moment::CopyData),
            b'c' => Some(Moment::CopyDone),
            b'Q' => self.query(body),
            b'P' => {
                let mut texts = body.split(|byte| *byte == 0);
                let (name, query) = (texts.next()?, texts.next()?);
                self.statements.remove(name);
                if let Some(moment) = prepared(query) {
                    self.statements.insert(name.to_vec(), moment);
                }
                None
            }
            b'B' => {
                let statement = body.split(|byte| *byte == 0).nth(1)?;
                let moment = self.statements.get(statement).copied();
                if moment.is_some() {
                    self.transaction = Transaction::Write;
                }
                moment
            }
            _ => None,
        }
    }

    fn query(&mut self, text: &[u8]) -> Option<Moment> {
        match text {
            b"BEGIN\0" => Some(Moment::Begin),
            b"COMMIT\0" => match std::mem::take(&mut self.transaction) {
                Transaction::Write => Some(Moment::Commit),
                Transaction::Claim => Some(Moment::ClaimCommit),
                Transaction::Other => None,
            },
            text if text.starts_with(b"BEGIN; SET LOCAL synchronous_commit") => {
                self.transaction = Transaction::Claim;
                None
            }
            _ => None,
        }
    }
}

/// What a statement stands for whenever it is executed.
fn prepared(query: &[u8]) -> Option<Moment> {
    if query.starts_with(b"COPY ") {
        Some(Moment::Copy)
    } else if query.starts_with(b"UPDATE aqueduct.offsets") && query.ends_with(b"= n.previous") {
        Some(Moment::Offsets)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
    }

    fn untyped(code: u32) -> Vec<u8> {
        [8u32.to_be_bytes(), code.to_be_bytes()].concat()
    }

    #[test]
    fn moments_are_known_however_the_bytes_are_cut() {
        let said = [
            untyped(80_877_103),
            untyped(STARTUP),
            message(b'p', b"SCRAM-SHA-256\0"),
            message(b'P', b"s1\0COPY \"m\".\"t\" FROM STDIN\0\0\0"),
            message(b'P', b"s2\0UPDATE aqueduct.offsets AS o SET .. o.next_offset = n.previous\0\0\0"),
            message(b'Q', b"BEGIN; SET LOCAL synchronous_commit = on\0"),
            message(b'Q', b"COMMIT\0"),
            message(b'Q', b"BEGIN\0"),
            message(b'B', b"\0s1\0"),
            message(b'd', b"PGCOPY"),
            message(b'c', b""),
            message(b'B', b"\0s2\0"),
            message(b'Q', b"COMMIT\0"),
            message(b'Q', b"COMMIT\0"),
        ]
        .concat();
        use Moment::*;
        let expected = [Startup, Login, ClaimCommit, Begin, Copy, CopyData, CopyDone, Offsets, Commit];
        for size in [1, 3, 7, said.len()] {
            let mut reader = Reader::default();
            let (mut moments, mut passed) = (Vec::new(), Vec::new());
            for piece in said.chunks(size) {
                reader.take(piece);
                while let Some((message, moment)) = reader.next() {
                    passed.extend(message);
                    moments.extend(moment);
                }
            }
            assert_eq!((moments.as_slice(), &passed), (&expected[..], &said), "{size} bytes at a time");
        }
    }
}
