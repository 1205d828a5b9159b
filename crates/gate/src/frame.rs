//! Framing: a byte stream cut into messages of one tag, a length and untouched bytes.
//!
//! Nothing is interpreted here. Every length is checked against what its tag may have before it is trusted, and
//! the long messages of bulk traffic are handed on in pieces, so that no buffer has to hold one.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Longest message PostgreSQL itself accepts or sends (`PQ_LARGE_MESSAGE_LIMIT`).
const LARGE: usize = 0x3fff_ffff;
/// Limit for messages that are short by nature (`PQ_SMALL_MESSAGE_LIMIT` in the server).
const SMALL_FROM_CLIENT: usize = 10_000;
/// Limit for short messages of the server (the one libpq uses).
const SMALL_FROM_SERVER: usize = 30_000;
/// Limit for authentication tokens (`PG_MAX_AUTH_TOKEN_LENGTH`).
const TOKEN: usize = 65_536;
/// Rows and copy data above this length are handed on in pieces.
const STREAM_ABOVE: usize = 256 * 1024;
/// The first piece of a statement or of parameters has this length at least.
const FIRST_PIECE: usize = 64 * 1024;

/// A stream that breaks the protocol; its connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    /// A tag that this side never sends.
    #[error("message of unknown type 0x{0:02x}")]
    Tag(u8),
    /// A length that this type of message cannot have.
    #[error("message of type {} with the impossible length {length}", char::from(*.tag))]
    Length {
        /// Its type.
        tag: u8,
        /// The length it claims.
        length: u32,
    },
    /// The body does not have the layout its type demands.
    #[error("message of type {} cannot be read: {what}", char::from(*.tag))]
    Body {
        /// Its type.
        tag: u8,
        /// What is wrong.
        what: &'static str,
    },
    /// A well-formed message where none of its type can stand.
    #[error("message of type {} came where {due} was due", char::from(*.tag))]
    Order {
        /// Its type.
        tag: u8,
        /// What should have come.
        due: &'static str,
    },
}

impl Malformed {
    pub(crate) fn body(tag: u8, what: &'static str) -> Self {
        Malformed::Body { tag, what }
    }

    pub(crate) fn order(tag: u8, due: &'static str) -> Self {
        Malformed::Order { tag, due }
    }
}

/// Who sends on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Whether a frame is a message or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Whole,
    First,
    Rest,
}

/// One message, or a piece of a long one.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub tag: u8,
    pub piece: Piece,
    /// The bytes as they came, header included.
    pub bytes: Bytes,
}

impl Frame {
    /// What follows the header. Empty for the later pieces of a long message.
    pub fn body(&self) -> &[u8] {
        if self.piece == Piece::Rest {
            return &[];
        }
        self.bytes.get(5..).unwrap_or_default()
    }
}

/// Cuts one direction of a connection into frames.
#[derive(Debug)]
pub(crate) struct Decoder {
    side: Side,
    /// Invariant: above zero only between the pieces of a message with this tag.
    rest: usize,
    tag: u8,
    /// Whether long statements and parameters come in pieces, too.
    cuts_all: bool,
}

impl Decoder {
    /// For whoever has to have statements and parameters whole.
    pub fn new(side: Side) -> Self {
        Decoder {
            side,
            rest: 0,
            tag: 0,
            cuts_all: false,
        }
    }

    /// For whoever has no use for all of a long message.
    pub fn cutting(side: Side) -> Self {
        Decoder {
            cuts_all: true,
            ..Decoder::new(side)
        }
    }

    /// The next frame, or `None` when more bytes are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
        if self.rest > 0 {
            let bytes = input.split_to(input.len().min(self.rest)).freeze();
            self.rest -= bytes.len();
            let frame = Frame {
                tag: self.tag,
                piece: Piece::Rest,
                bytes,
            };
            return Ok(Some(frame).filter(|frame| !frame.bytes.is_empty()));
        }
        let Some(mut head) = input.get(..5) else {
            // The tag alone is enough to refuse a stream that is not this protocol.
            if let Some(&tag) = input.first() {
                self.limit(tag)?;
            }
            return Ok(None);
        };
        let tag = head.get_u8();
        let length = head.get_u32();
        let limit = self.limit(tag)?;
        let total = length as usize + 1;
        if length < 4 || length as usize > limit {
            return Err(Malformed::Length { tag, length });
        }
        if input.len() >= total {
            return Ok(Some(Frame {
                tag,
                piece: Piece::Whole,
                bytes: input.split_to(total).freeze(),
            }));
        }
        if total > STREAM_ABOVE && self.cuts(tag, input.len()) {
            let bytes = input.split().freeze();
            self.rest = total - bytes.len();
            self.tag = tag;
            return Ok(Some(Frame {
                tag,
                piece: Piece::First,
                bytes,
            }));
        }
        // No room is made for what has only been announced: the buffer grows with what comes.
        Ok(None)
    }

    /// Whether a long message is handed on in pieces, of which the first has this length.
    fn cuts(&self, tag: u8, length: usize) -> bool {
        match (self.side, tag) {
            (_, b'd') | (Side::Server, b'D') => true,
            (Side::Client, b'Q' | b'P' | b'B') => self.cuts_all && length >= FIRST_PIECE,
            (Side::Server, b'N' | b'A') => self.cuts_all,
            _ => false,
        }
    }

    fn limit(&self, tag: u8) -> Result<usize, Malformed> {
        match (self.side, tag) {
            (Side::Client, b'Q' | b'F' | b'B' | b'P' | b'd')
            | (Side::Server, b'T' | b'D' | b'd' | b'V' | b'E' | b'N' | b'A' | b't') => Ok(LARGE),
            (Side::Client, b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f') => {
                Ok(SMALL_FROM_CLIENT)
            }
            (Side::Client, b'p') => Ok(TOKEN),
            (Side::Server, tag) if tag.is_ascii_alphanumeric() => Ok(SMALL_FROM_SERVER),
            (_, tag) => Err(Malformed::Tag(tag)),
        }
    }
}

/// Appends a message whose body `fill` writes.
pub(crate) fn message(out: &mut BytesMut, tag: u8, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    fill(out);
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a zero-terminated string; zero bytes inside are left out, as they cannot be sent.
pub(crate) fn put_str(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}

/// Reads typed values off a message body. Every method fails instead of reading past the end.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    tag: u8,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(frame: &'a Frame) -> Self {
        Reader {
            tag: frame.tag,
            rest: frame.body(),
        }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed::body(self.tag, "too short"))?;
        self.rest = tail;
        Ok(head)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(self.take(2)?.get_i16())
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(self.take(2)?.get_u16())
    }

    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(self.take(4)?.get_i32())
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.take(4)?.get_u32())
    }

    /// A zero-terminated string. Clients may use other encodings: what is not UTF-8 is replaced.
    pub fn str(&mut self) -> Result<String, Malformed> {
        let end = self.rest.iter().position(|byte| *byte == 0);
        let end = end.ok_or(Malformed::body(self.tag, "string without an end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// A value with its length in front; `None` for NULL (−1).
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| Malformed::body(self.tag, "negative length"))?;
                self.take(length).map(Some)
            }
        }
    }
}
