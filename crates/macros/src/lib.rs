//! `#[deadheat::test]`: an async function becomes a test that is run for one schedule after the other.
//!
//! `options` reads what stands in the attribute's brackets, `body` turns the function around.

mod body;
mod options;

use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Makes an async function that takes a lab into a test.
///
/// ```text
/// #[deadheat::test]
/// async fn the_lobby_never_overfills(lab: Lab) { … }
///
/// #[deadheat::test(runs = 1000, preemptions = 2)]
/// #[deadheat::test(random, seed = 7)]
/// #[deadheat::test(exhaust, serial = false)]
/// ```
///
/// | option | what it says |
/// | --- | --- |
/// | `runs = N` | at most so many runs; 10,000 if nothing is said |
/// | `preemptions = N` | at most so many preemptions in a schedule |
/// | `random` | random schedules instead of all |
/// | `seed = N` | where random choices begin |
/// | `exhaust` | the test fails unless every schedule was explored |
/// | `serial = false` | what the actors return need not be what some order of them gives |
#[proc_macro_attribute]
pub fn test(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attribute as options::Given);
    let function = parse_macro_input!(item as ItemFn);
    body::turn(&options, &function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
