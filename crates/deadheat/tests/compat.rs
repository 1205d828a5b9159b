//! Other projects' tests, the short form of `make compat`: PostgreSQL's isolation specs and a driver's own tests, each run
//! directly and through `deadheat proxy`. No test may pass directly and fail through it.
#![allow(missing_docs)]

use std::path::Path;
use std::process::Command;

#[test]
fn specs_and_a_driver_say_the_same_through_the_proxy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("tools/compat"))
        .arg("--short")
        .env("DEADHEAT", env!("CARGO_BIN_EXE_deadheat"))
        .output()
        .expect("the script runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    // Ends with 3 where the packages cannot be had; then it has said which are left out.
    match output.status.code() {
        Some(0) => {}
        Some(3) => eprintln!("{said}"),
        _ => panic!("{said}\n{errors}"),
    }
}
