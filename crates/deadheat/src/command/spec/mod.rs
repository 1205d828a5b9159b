//! `deadheat spec`: PostgreSQL's isolation specs, as isolationtester runs them.
//!
//! Specs are read first, all of them; then each worker takes the next one that nobody has taken. A worker has a database
//! of its own, and on private servers a server of its own, so that specs run side by side as they would run alone.

mod explored;
mod files;
mod judge;
mod place;
mod work;

use std::io::{Write, stderr, stdout};
use std::sync::atomic::Ordering;

use deadheat_spec::Stream;

use self::files::Loaded;
use self::judge::Judge;
use self::place::Ground;
use self::work::Worked;
use super::print;
use crate::args::Spec;
use crate::problem::Problem;
use crate::signals::Interrupted;

/// Runs the command.
pub fn run(args: &Spec, interrupted: &Interrupted) -> Result<u8, Problem> {
    let loaded = files::load(args)?;
    let ground = Ground::prepare(args, loaded.len())?;
    if args.explore {
        return explored::all(args, &loaded, &ground, interrupted);
    }
    let mut judge = Judge::new(loaded.len());
    let check = args.check;
    let mut show = |spec: &Loaded, worked: &Worked| -> Result<(), Problem> {
        if check {
            print(&judge.line(spec, worked)?)
        } else {
            judge.count(worked);
            pass_on(worked)
        }
    };
    work::all(&loaded, &ground, interrupted, &mut show)?;
    if check {
        print(&judge.summary())?;
    }
    if interrupted.load(Ordering::SeqCst) {
        return Ok(130);
    }
    Ok(u8::from(!judge.is_content()))
}

/// Prints what a spec printed, each piece where it belongs.
fn pass_on(worked: &Worked) -> Result<(), Problem> {
    let (mut out, mut err) = (stdout().lock(), stderr().lock());
    for (stream, bytes) in &worked.output {
        let written = match stream {
            Stream::Out => out.write_all(bytes).and_then(|()| out.flush()),
            Stream::Err => err.write_all(bytes),
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Problem::other(format!("cannot print: {error}"), None)),
            Ok(()) => {}
        }
    }
    Ok(())
}
