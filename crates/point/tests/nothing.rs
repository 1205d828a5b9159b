//! A point that is off is nothing: the compiler's output says so.

use std::path::Path;
use std::process::Command;

/// A service's code; `cfg(points)` puts points in.
const BLOCKING: &str = r#"
#[macro_use] extern crate deadheat_point;

#[inline(never)]
pub fn save(seats: &mut Vec<u64>, seat: u64) -> usize {
    #[cfg(points)] point!("before_save", seat, free = seats.len() < 4, next = seat + 1);
    if seats.len() < 4 { seats.push(seat * 3); }
    #[cfg(points)] point!("after_save");
    seats.len()
}
"#;

/// The same, async. The future is polled by hand, so that all of its code is in the output.
const ASYNC: &str = r#"
#[macro_use] extern crate deadheat_point;
use std::future::Future;

async fn save(seat: u64, stored: impl Future<Output = u64>) -> u64 {
    #[cfg(points)] point!(async "before_save", seat, next = seat + 1);
    stored.await + seat
}

#[inline(never)]
pub fn make(seat: u64, stored: std::pin::Pin<Box<dyn Future<Output = u64>>>)
    -> std::pin::Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(save(seat, stored))
}
"#;

fn rustc(folder: &Path, arguments: &[&str]) {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(compiler)
        .args(["--edition", "2024", "-O", "-C", "codegen-units=1"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the compiler starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The instructions of a crate with points in it (or without), one a line, with labels left out.
fn instructions(folder: &Path, code: &str, points: bool) -> Vec<String> {
    std::fs::write(folder.join("service.rs"), code).expect("a file is written");
    let with: &[&str] = if points { &["--cfg", "points"] } else { &[] };
    let fixed = [
        "service.rs",
        "--crate-type=rlib",
        "--emit=asm=service.s",
        "--extern=deadheat_point=libdeadheat_point.rlib",
    ];
    rustc(folder, &[&fixed, with].concat());
    let text = std::fs::read_to_string(folder.join("service.s")).expect("its assembly");
    let is_instruction = |line: &&str| line.starts_with('\t') && !line.trim().starts_with('.');
    text.lines()
        .filter(is_instruction)
        .map(str::to_owned)
        .collect()
}

fn with_library(test: impl Fn(&Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let source = source.to_str().expect("a path in UTF-8");
    rustc(
        folder.path(),
        &[source, "--crate-type=rlib", "--crate-name=deadheat_point"],
    );
    test(folder.path());
}

#[test]
fn a_function_has_the_same_instructions_with_points_and_without() {
    with_library(|folder| {
        let without = instructions(folder, BLOCKING, false);
        let with = instructions(folder, BLOCKING, true);
        assert!(without.len() > 10, "{without:?}");
        assert!(
            without == with,
            "{}\n---\n{}",
            without.join("\n"),
            with.join("\n")
        );
    });
}

#[test]
fn a_future_has_the_same_instructions_with_points_and_without() {
    with_library(|folder| {
        let without = instructions(folder, ASYNC, false);
        let with = instructions(folder, ASYNC, true);
        assert!(without.len() > 20, "{without:?}");
        assert!(
            without == with,
            "{}\n---\n{}",
            without.join("\n"),
            with.join("\n")
        );
    });
}

#[cfg(not(feature = "on"))]
#[test]
fn a_point_has_no_size_and_evaluates_nothing() {
    use deadheat_point::point;

    fn never() -> u32 {
        panic!("a value of a point that is off was evaluated");
    }
    point!("here", never(), value = never());
    let future = async { point!("there", never()).await };
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_ready());
    assert_eq!(size_of::<deadheat_point::Here>(), 0);
    assert_eq!(size_of::<deadheat_point::Point<'_>>(), 0);
}
