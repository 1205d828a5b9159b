//! What the server sends: typed views of the messages the gate looks into, and the few it writes to a client itself.

use bytes::{BufMut, BytesMut};

use crate::event::{SqlError, TxStatus};
use crate::frame::{Frame, Malformed, Reader, message, put_str};
use crate::param::decode;

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub oid: u32,
    pub format: i16,
}

/// Longest cell kept for explanations, in characters.
const CELL: usize = 200;

pub(crate) fn ready(frame: &Frame) -> Result<TxStatus, Malformed> {
    match Reader::new(frame).u8()? {
        b'I' => Ok(TxStatus::Idle),
        b'T' => Ok(TxStatus::Open),
        b'E' => Ok(TxStatus::Failed),
        _ => Err(Malformed::body(frame.tag, "unknown transaction status")),
    }
}

pub(crate) fn command_tag(frame: &Frame) -> Result<String, Malformed> {
    Reader::new(frame).str()
}

/// Backend process and cancel key.
pub(crate) fn key(frame: &Frame) -> Result<(i32, Vec<u8>), Malformed> {
    let mut body = Reader::new(frame);
    let pid = body.i32()?;
    let key = frame.body()[4..].to_vec();
    if !(4..=256).contains(&key.len()) {
        return Err(Malformed::body(
            frame.tag,
            "cancel key of impossible length",
        ));
    }
    Ok((pid, key))
}

pub(crate) fn error(frame: &Frame) -> Result<SqlError, Malformed> {
    let mut body = Reader::new(frame);
    let mut error = SqlError::default();
    loop {
        let field = body.u8()?;
        if field == 0 {
            return Ok(error);
        }
        let text = body.str()?;
        match field {
            // `V` is the severity that is never translated; old servers send `S` alone.
            b'V' => error.severity = text,
            b'S' if error.severity.is_empty() => error.severity = text,
            b'C' => error.code = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'W' => error.context = Some(text),
            b's' => error.schema = Some(text),
            b't' => error.table = Some(text),
            b'c' => error.column = Some(text),
            b'n' => error.constraint = Some(text),
            _ => {}
        }
    }
}

pub(crate) fn parameter_types(frame: &Frame) -> Result<Vec<u32>, Malformed> {
    let mut body = Reader::new(frame);
    (0..body.u16()?).map(|_| body.u32()).collect()
}

pub(crate) fn columns(frame: &Frame) -> Result<Vec<Column>, Malformed> {
    let mut body = Reader::new(frame);
    (0..body.u16()?)
        .map(|_| {
            let name = body.str()?;
            body.take(6)?;
            let oid = body.u32()?;
            body.take(6)?;
            Ok(Column {
                name,
                oid,
                format: body.i16()?,
            })
        })
        .collect()
}

/// The cells of a row as text. Columns that nobody described are taken for text.
pub(crate) fn cells(frame: &Frame, columns: &[Column]) -> Result<Vec<Option<String>>, Malformed> {
    let mut body = Reader::new(frame);
    (0..usize::from(body.u16()?))
        .map(|at| {
            let (format, oid) = columns
                .get(at)
                .map_or((0, 0), |column| (column.format, column.oid));
            Ok(body.value()?.map(|value| decode(value, format, oid)))
        })
        .collect()
}

/// The cells of a row, cut for explanations.
pub(crate) fn row(frame: &Frame, columns: &[Column]) -> Result<Vec<Option<String>>, Malformed> {
    Ok(cells(frame, columns)?
        .into_iter()
        .map(|cell| cell.map(cut))
        .collect())
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(CELL) {
        text.truncate(at);
    }
    text
}

/// Appends an error of the gate's own.
pub(crate) fn put_error(out: &mut BytesMut, severity: &str, code: &str, text: &str) {
    message(out, b'E', |out| {
        for (field, value) in [
            (b'S', severity),
            (b'V', severity),
            (b'C', code),
            (b'M', text),
        ] {
            out.put_u8(field);
            put_str(out, value);
        }
        out.put_u8(0);
    });
}

pub(crate) fn put_ready(out: &mut BytesMut, status: TxStatus) {
    message(out, b'Z', |out| {
        out.put_u8(match status {
            TxStatus::Idle => b'I',
            TxStatus::Open => b'T',
            TxStatus::Failed => b'E',
        });
    });
}
