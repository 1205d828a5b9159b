//! `deadheat show`: a saved race, as `find` printed it.

use super::replay::load;
use super::{print, style};
use crate::args::Show;
use crate::problem::Problem;

/// Runs the command.
pub fn run(show: &Show) -> Result<u8, Problem> {
    let saved = load(&show.race)?;
    let file = show.race.display().to_string();
    print(&deadheat_report::race(&saved, Some(&file), style()))?;
    Ok(0)
}
