//! Authentication across a gate where encryption ends.
//!
//! SCRAM with channel binding proves that client and server see the same encrypted channel. Where the gate decrypts they
//! do not: so the mechanism is taken off the server's offer, and a client that insists on it, or would call its absence
//! an attack, is told why.

use bytes::{BufMut, BytesMut};

use crate::frame::{Frame, Malformed, Reader, message};

/// AuthenticationSASL.
const SASL: i32 = 10;
/// Mechanisms that bind a channel end like this.
const BOUND: &str = "-PLUS";

/// What the server is to have offered, if `frame` is an offer with a mechanism that cannot pass.
pub(super) fn offer(frame: &Frame) -> Result<Option<BytesMut>, Malformed> {
    let mut body = Reader::new(frame);
    if frame.tag != b'R' || body.i32()? != SASL {
        return Ok(None);
    }
    let mut kept = Vec::new();
    let mut bound = false;
    loop {
        let mechanism = body.str()?;
        if mechanism.is_empty() {
            break;
        }
        if mechanism.ends_with(BOUND) {
            bound = true;
        } else {
            kept.push(mechanism);
        }
    }
    if !bound {
        return Ok(None);
    }
    let mut out = BytesMut::new();
    message(&mut out, b'R', |out| {
        out.put_i32(SASL);
        for mechanism in &kept {
            out.extend_from_slice(mechanism.as_bytes());
            out.put_u8(0);
        }
        out.put_u8(0);
    });
    Ok(Some(out))
}

/// Whether the first answer to an offer speaks of channel binding: uses it (`p=`), or could and misses it (`y`).
pub(super) fn binds(frame: &Frame) -> bool {
    let mut body = Reader::new(frame);
    body.str().is_ok()
        && body.value().is_ok_and(|first| {
            first.is_some_and(|first| matches!(first.first(), Some(b'p' | b'y')))
        })
}

/// What such a client is told.
pub(super) const UNBOUND: &str = "channel binding cannot pass the gate, where encryption ends and begins anew: \
                                  connect with channel_binding=disable";
