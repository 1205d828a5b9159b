//! `deadheat show`: a saved race, as `find` printed it, or as a page.

use super::replay::load;
use super::{print, style};
use crate::args::Show;
use crate::problem::Problem;

/// Runs the command.
pub fn run(show: &Show) -> Result<u8, Problem> {
    let saved = load(&show.race)?;
    let file = show.race.display().to_string();
    if let Some(page) = &show.html {
        let text = deadheat_report::page(&[(&saved, &file)], "")
            .map_err(|error| Problem::other(format!("the page: {error}"), None))?;
        std::fs::write(page, text).map_err(|error| Problem::file(page, "write", &error))?;
        return Ok(0);
    }
    print(&deadheat_report::race(&saved, Some(&file), style()))?;
    Ok(0)
}
