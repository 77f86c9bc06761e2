//! Requests to a broker that librdkafka's Rust client does not know: one a connection, in clear or by certificate.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::tls::{Stream, Trust};

/// No answer to what is asked here is larger.
const ANSWER_BYTES_MAX: i32 = 1 << 20;
const CLIENT: &str = "aqueduct-stack";

/// Which encoding of strings and arrays a version of a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Lengths of two or four bytes.
    Fixed,
    /// Lengths as variable integers, one more than they are; fields may follow that nobody knows.
    Compact,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request {
    bytes: Vec<u8>,
    encoding: Encoding,
}

impl Request {
    pub(super) fn new(key: i16, version: i16, encoding: Encoding) -> Self {
        let mut request = Request { bytes: Vec::new(), encoding: Encoding::Fixed };
        request.bytes.extend(key.to_be_bytes());
        request.bytes.extend(version.to_be_bytes());
        request.int32(1);
        // The header's own string is of the old encoding in every version.
        request.string(CLIENT);
        request.encoding = encoding;
        request.tags();
        request
    }

    pub(super) fn int8(&mut self, value: i8) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn int32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn string(&mut self, value: &str) {
        match self.encoding {
            Encoding::Fixed => {
                let length = i16::try_from(value.len()).expect("invariant: names and passwords are short");
                self.bytes.extend(length.to_be_bytes());
            }
            Encoding::Compact => self.length(value.len()),
        }
        self.bytes.extend(value.as_bytes());
    }

    /// A string that is not there; of the old encoding only.
    pub(super) fn null(&mut self) {
        self.bytes.extend((-1i16).to_be_bytes());
    }

    /// Bytes; of the compact encoding only.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.length(value.len());
        self.bytes.extend(value);
    }

    /// How many elements follow.
    pub(super) fn array(&mut self, count: usize) {
        match self.encoding {
            Encoding::Fixed => self.int32(i32::try_from(count).expect("invariant: lists are short")),
            Encoding::Compact => self.length(count),
        }
    }

    /// The end of a structure: none of the fields that nobody knows.
    pub(super) fn tags(&mut self) {
        if self.encoding == Encoding::Compact {
            self.bytes.push(0);
        }
    }

    fn length(&mut self, length: usize) {
        let mut left = length + 1;
        while left >= 0x80 {
            self.bytes.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        self.bytes.push(left as u8);
    }

    /// Sends it and gives what follows the answer's header.
    pub(super) fn send(
        self,
        broker: &str,
        trust: Option<&Trust>,
        patience: Duration,
    ) -> Result<Answer, String> {
        let failed = |error: std::io::Error| error.to_string();
        let place: SocketAddr = broker.parse().map_err(|error| format!("{broker}: {error}"))?;
        let plain = TcpStream::connect_timeout(&place, patience).map_err(failed)?;
        plain.set_read_timeout(Some(patience)).map_err(failed)?;
        let mut stream: Box<dyn Stream> = match trust {
            Some(trust) => Box::new(trust.encrypt(&place.ip().to_string(), plain)?),
            None => Box::new(plain),
        };
        let length = i32::try_from(self.bytes.len()).map_err(|error| error.to_string())?;
        stream.write_all(&[&length.to_be_bytes()[..], &self.bytes].concat()).map_err(failed)?;
        stream.flush().map_err(failed)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length).map_err(failed)?;
        let length = i32::from_be_bytes(length);
        if !(4..=ANSWER_BYTES_MAX).contains(&length) {
            return Err(format!("an answer of {length} bytes"));
        }
        let mut bytes = vec![0; length as usize];
        stream.read_exact(&mut bytes).map_err(failed)?;
        let header = if self.encoding == Encoding::Compact { 5 } else { 4 };
        Ok(Answer { bytes, at: header, encoding: self.encoding })
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    at: usize,
    encoding: Encoding,
}

impl Answer {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at + count;
        let taken = self.bytes.get(self.at..end).ok_or("the answer is cut short")?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn int16(&mut self) -> Result<i16, String> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn int32(&mut self) -> Result<i32, String> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn array(&mut self) -> Result<usize, String> {
        match self.encoding {
            Encoding::Fixed => Ok(usize::try_from(self.int32()?).unwrap_or(0)),
            Encoding::Compact => self.length(),
        }
    }

    /// A string; one that is not there is empty.
    pub(super) fn string(&mut self) -> Result<String, String> {
        let length = match self.encoding {
            Encoding::Fixed => usize::try_from(self.int16()?).unwrap_or(0),
            Encoding::Compact => self.length()?,
        };
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// The end of a structure; a broker that adds fields here is newer than the one of this stack.
    pub(super) fn tags(&mut self) -> Result<(), String> {
        if self.encoding == Encoding::Compact && self.take(1)? != [0] {
            return Err("the answer has fields of a newer broker".into());
        }
        Ok(())
    }

    fn length(&mut self) -> Result<usize, String> {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let byte = self.take(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 || shift > 21 {
                return Ok(value.saturating_sub(1));
            }
            shift += 7;
        }
    }
}
