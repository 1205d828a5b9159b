//! What the tests of the task lab share.

use deadheat_task::{Failure, Lab, Options, check};

/// The defaults, for a test of this name.
pub fn options(name: &str) -> Options {
    Options {
        name: name.to_owned(),
        ..Options::default()
    }
}

/// The failure that a search finds.
pub fn found<F, Fut>(options: &Options, test: F) -> Failure
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    match check(options, test) {
        Ok(report) => panic!("nothing was found: {report}"),
        Err(failure) => failure,
    }
}
