//! What clients send: typed views of the messages that the gate has to understand, and the messages it writes
//! itself when it speaks to the server in a client's place.

use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};

use crate::frame::{Frame, Malformed, Piece, Reader, message, put_str};

/// `Parse`: a text becomes a prepared statement.
pub(crate) struct Parse {
    pub name: String,
    pub sql: String,
    pub types: Vec<u32>,
}

/// `Bind`: a prepared statement and its parameters become a portal.
pub(crate) struct Bind {
    pub portal: String,
    pub statement: String,
    /// Format and bytes of every parameter; `None` is NULL.
    pub params: Vec<(i16, Option<Bytes>)>,
    /// Formats wanted for the columns: none (all text), one for all, or one each.
    pub formats: Vec<i16>,
}

/// What `Describe` and `Close` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

pub(crate) fn query(frame: &Frame) -> Result<String, Malformed> {
    Reader::new(frame).str()
}

pub(crate) fn parse(frame: &Frame) -> Result<Parse, Malformed> {
    let mut body = Reader::new(frame);
    let (name, sql) = (body.str()?, body.str()?);
    let types = (0..body.u16()?)
        .map(|_| body.u32())
        .collect::<Result<_, _>>()?;
    Ok(Parse { name, sql, types })
}

pub(crate) fn bind(frame: &Frame) -> Result<Bind, Malformed> {
    let mut body = Reader::new(frame);
    let (portal, statement) = (body.str()?, body.str()?);
    let given = (0..body.u16()?)
        .map(|_| body.i16())
        .collect::<Result<Vec<_>, _>>()?;
    let params = (0..usize::from(body.u16()?))
        .map(|at| {
            // Copied: a slice would keep the whole read buffer alive for as long as the parameter lives.
            let value = body.value()?.map(Bytes::copy_from_slice);
            Ok((format_of(&given, at), value))
        })
        .collect::<Result<_, _>>()?;
    let formats = (0..body.u16()?)
        .map(|_| body.i16())
        .collect::<Result<_, _>>()?;
    Ok(Bind {
        portal,
        statement,
        params,
        formats,
    })
}

/// As much as is there of a message that is too long to wait for: the text of a Query or Parse as far as it has come, a
/// Bind without its parameters.
pub(crate) fn shortened(frame: &Frame) -> Frame {
    let body = frame.body();
    let kept = |strings: usize| {
        let ends = body.iter().enumerate().filter(|(_, byte)| **byte == 0);
        let end = ends.map(|(at, _)| at).nth(strings - 1);
        // The last of them is cut where it ends too late.
        &body[..end.unwrap_or(body.len())]
    };
    let (strings, counts) = match frame.tag {
        b'P' => (2, 1),
        b'B' => (2, 3),
        _ => (1, 0),
    };
    let mut bytes = BytesMut::new();
    message(&mut bytes, frame.tag, |out| {
        out.extend_from_slice(kept(strings));
        out.put_u8(0);
        out.put_bytes(0, 2 * counts);
    });
    Frame {
        tag: frame.tag,
        piece: Piece::Whole,
        bytes: bytes.freeze(),
    }
}

/// The format of item `at` in a list of none, one for all, or one each.
pub(crate) fn format_of(formats: &[i16], at: usize) -> i16 {
    match formats {
        [] => 0,
        [one] => *one,
        each => each.get(at).copied().unwrap_or(0),
    }
}

pub(crate) fn target(frame: &Frame) -> Result<Target, Malformed> {
    let mut body = Reader::new(frame);
    match body.u8()? {
        b'S' => Ok(Target::Statement(body.str()?)),
        b'P' => Ok(Target::Portal(body.str()?)),
        _ => Err(Malformed::body(frame.tag, "neither statement nor portal")),
    }
}

/// The portal that an `Execute` names.
pub(crate) fn execute(frame: &Frame) -> Result<String, Malformed> {
    Reader::new(frame).str()
}

/// The function that a `FunctionCall` names.
pub(crate) fn function(frame: &Frame) -> Result<u32, Malformed> {
    Reader::new(frame).u32()
}

/// Name of the gate's own statement and portal. Clients' own objects, the unnamed ones above all, must survive what
/// the gate runs between their messages: that is why it never sends a simple Query, which drops both.
const OWN: &str = "_deadheat_gate";
const OWN_ATTEMPT: &str = "_deadheat_ahead";

/// Appends one statement of the gate's own, leaving nothing behind at the server when it succeeds.
///
/// A statement left by an earlier failure is closed first. Seven messages, answered `3 1 2 … C 3 3` (see
/// [`crate::session::script`]); the `Sync` is the caller's.
pub(crate) fn own_statement(out: &mut BytesMut, sql: &str) {
    statement_called(OWN, out, sql);
}

/// As [`own_statement`], for one that may fail while it runs: the portal that is left then is not in the way of others.
pub(crate) fn own_attempt(out: &mut BytesMut, sql: &str) {
    statement_called(OWN_ATTEMPT, out, sql);
}

fn statement_called(own: &str, out: &mut BytesMut, sql: &str) {
    let close = |out: &mut BytesMut, kind: u8| {
        message(out, b'C', |out| {
            out.put_u8(kind);
            put_str(out, own);
        });
    };
    close(out, b'S');
    message(out, b'P', |out| {
        put_str(out, own);
        put_str(out, sql);
        out.put_u16(0);
    });
    message(out, b'B', |out| {
        put_str(out, own);
        put_str(out, own);
        out.put_slice(&[0; 6]);
    });
    message(out, b'E', |out| {
        put_str(out, own);
        out.put_u32(0);
    });
    close(out, b'P');
    close(out, b'S');
}

pub(crate) fn sync(out: &mut BytesMut) {
    message(out, b'S', |_| {});
}

pub(crate) fn flush(out: &mut BytesMut) {
    message(out, b'H', |_| {});
}

pub(crate) fn simple_query(out: &mut BytesMut, sql: &str) {
    message(out, b'Q', |out| put_str(out, sql));
}

pub(crate) fn close_statement(out: &mut BytesMut, name: &str) {
    message(out, b'C', |out| {
        out.put_u8(b'S');
        put_str(out, name);
    });
}

/// A message that only fails: what it leaves is the state an error of the client's own leaves (a failed transaction,
/// a server that skips until `Sync`).
pub(crate) fn fail_on_purpose(out: &mut BytesMut) {
    message(out, b'P', |out| {
        put_str(out, OWN);
        put_str(out, "the gate refused this statement");
        out.put_u16(0);
    });
}

fn fixed(sql: &str, synced: bool) -> Bytes {
    let mut out = BytesMut::new();
    own_statement(&mut out, sql);
    if synced {
        sync(&mut out);
    }
    out.freeze()
}

/// Begins the transaction of a gap. No `Sync`: the batch that follows brings one, or is a simple Query.
pub(crate) static BEGIN: LazyLock<Bytes> = LazyLock::new(|| fixed("BEGIN", false));
/// Asks whether the transaction wrote anything.
pub(crate) static ASSIGNED: LazyLock<Bytes> = LazyLock::new(|| {
    fixed(
        "select pg_catalog.pg_current_xact_id_if_assigned() is not null",
        true,
    )
});
/// Ends the transaction of a gap.
pub(crate) static COMMIT: LazyLock<Bytes> = LazyLock::new(|| fixed("COMMIT", true));
/// Gives the transaction of a gap up.
pub(crate) static ROLLBACK: LazyLock<Bytes> = LazyLock::new(|| fixed("ROLLBACK", true));
