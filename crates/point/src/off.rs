//! What a point is when it is off: a value without size that can be dropped and awaited, both of which do nothing.

use core::future::{Future, IntoFuture};
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

/// A place in the code.
#[doc(hidden)]
pub struct Here;

impl Here {
    /// The values are looked at by the compiler alone.
    #[inline(always)]
    pub fn new(_name: &'static str, _values: impl Fn()) -> Self {
        Self
    }
}

/// What [`point!`](crate::point) makes.
pub struct Point<'here>(PhantomData<&'here Here>);

impl<'here> Point<'here> {
    #[doc(hidden)]
    #[inline(always)]
    pub fn at(_here: &'here Here) -> Self {
        Self(PhantomData)
    }
}

/// A point that is on blocks when it is dropped. This one holds on to its place for as long, so that what compiles with
/// points off compiles with points on.
impl Drop for Point<'_> {
    #[inline(always)]
    fn drop(&mut self) {}
}

impl IntoFuture for Point<'_> {
    type Output = ();
    type IntoFuture = Passed;

    #[inline(always)]
    fn into_future(self) -> Passed {
        Passed
    }
}

/// Ready at once.
#[doc(hidden)]
pub struct Passed;

impl Future for Passed {
    type Output = ();

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
