//! Named places in production code at which a test may hold it.
//!
//! ```
//! use deadheat_point::point;
//!
//! fn take(seats: &mut Vec<&'static str>, nick: &'static str) {
//!     if seats.len() < 4 {
//!         point!("free_seat_seen", nick, taken = seats.len());
//!         seats.push(nick);
//!     }
//! }
//! # take(&mut Vec::new(), "ben");
//! ```
//!
//! Without the feature `on` a point is nothing: it evaluates none of its values and leaves no instruction behind. With
//! it, a point is a gate: where a test holds it, nobody passes before he is told to; everywhere else everybody passes.
//!
//! `off` is the one half, `on` the other; [`point!`] is the same text for both.
#![cfg_attr(not(feature = "on"), no_std)]

#[cfg(not(feature = "on"))]
mod off;
#[cfg(feature = "on")]
mod on;
#[cfg(feature = "on")]
mod socket;
#[cfg(feature = "on")]
mod values;

#[cfg(not(feature = "on"))]
pub use off::{Here, Point};
#[cfg(feature = "on")]
pub use on::{Call, Gate, Here, Point, Reached, attach};
#[cfg(feature = "on")]
#[doc(hidden)]
pub use values::{Values, shown};

/// A point: a place with a name, and values to show there.
///
/// As a statement it blocks until it may be passed. Awaited, it is an await: `point!("saved").await`. It is nothing else:
/// it cannot be kept in a variable, so that the end of the statement is where it waits. `point!(async "saved")` is the
/// same as `point!("saved").await` with the await inside: when off, not even that is left.
///
/// The name is one word. Values are shown by their `Debug`, under their own text or a name that is given.
///
/// ```
/// # use deadheat_point::point;
/// # async fn store(seat: u32) {
/// point!("before_save");
/// point!("before_save", seat);
/// point!("before_save", seat, next = seat + 1).await;
/// point!(async "before_save", seat);
/// # }
/// ```
///
/// ```compile_fail,E0716
/// let kept = deadheat_point::point!("before_save");
/// ```
///
/// ```compile_fail,E0080
/// deadheat_point::point!("before save");
/// ```
#[macro_export]
macro_rules! point {
    (async $name:literal $(,)?) => {
        $crate::__point_async!($name;)
    };
    (async $name:literal, $($values:tt)+) => {
        $crate::__point_async!($name; $($values)+,)
    };
    ($name:literal $(,)?) => {
        $crate::__point!($name;)
    };
    ($name:literal, $($values:tt)+) => {
        $crate::__point!($name; $($values)+,)
    };
}

/// Takes the values of a point one after the other: `seat` is shown as `seat`, `next = seat + 1` as `next`.
#[cfg(feature = "on")]
#[doc(hidden)]
#[macro_export]
macro_rules! __point {
    ($name:literal; $($values:tt)*) => {
        $crate::Point::at(&$crate::Here::new(
            const { $crate::one_word($name) },
            |values| { $crate::__values!(values; $($values)*); let _ = values; },
        ))
    };
}

#[cfg(feature = "on")]
#[doc(hidden)]
#[macro_export]
macro_rules! __point_async {
    ($($point:tt)*) => {
        $crate::__point!($($point)*).await
    };
}

#[cfg(not(feature = "on"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __point_async {
    ($name:literal; $($values:tt)*) => {{
        // Not even a value: one that is dropped in a future leaves a flag there.
        const _: &str = $crate::one_word($name);
        let _ = || { $crate::__values!(values; $($values)*); };
    }};
}

#[cfg(not(feature = "on"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __point {
    ($name:literal; $($values:tt)*) => {
        $crate::Point::at(&$crate::Here::new(
            const { $crate::one_word($name) },
            || { $crate::__values!(values; $($values)*); },
        ))
    };
}

#[cfg(feature = "on")]
#[doc(hidden)]
#[macro_export]
macro_rules! __values {
    ($values:ident; $(,)?) => {};
    ($values:ident; $key:ident = $value:expr, $($rest:tt)*) => {
        $values.add(stringify!($key), &$value);
        $crate::__values!($values; $($rest)*)
    };
    ($values:ident; $value:expr, $($rest:tt)*) => {
        $values.add(stringify!($value), &$value);
        $crate::__values!($values; $($rest)*)
    };
}

#[cfg(not(feature = "on"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __values {
    ($values:ident; $(,)?) => {};
    ($values:ident; $key:ident = $value:expr, $($rest:tt)*) => {
        let _ = &$value;
        $crate::__values!($values; $($rest)*)
    };
    ($values:ident; $value:expr, $($rest:tt)*) => {
        let _ = &$value;
        $crate::__values!($values; $($rest)*)
    };
}

/// The name itself; it does not compile unless the name is one word, because a line of the socket's protocol is made of
/// words.
#[doc(hidden)]
pub const fn one_word(name: &'static str) -> &'static str {
    let bytes = name.as_bytes();
    assert!(!bytes.is_empty(), "a point needs a name");
    let mut at = 0;
    while at < bytes.len() {
        assert!(
            bytes[at] > b' ' && bytes[at] != 0x7f,
            "the name of a point is one word: letters, digits, `_`, `-`, `.`"
        );
        at += 1;
    }
    name
}

#[cfg(all(doctest, feature = "on"))]
#[doc = include_str!("../../../docs/points.md")]
mod book {}
