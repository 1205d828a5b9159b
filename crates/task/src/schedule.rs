//! Schedules as text: what a failing test prints, and `DEADHEAT_REPLAY` takes back.
//!
//! `lobby::the_lobby_never_overfills:0x2.1.0` is that test with two steps of its first actor, one of its second and one
//! of the first again. Actors are numbered from 0 in the order in which they are given to the lab.

use deadheat_explore::Actor;

/// The variable that holds the schedule to replay.
pub(crate) const VARIABLE: &str = "DEADHEAT_REPLAY";

/// The schedule of a test as text.
pub(crate) fn write(test: &str, schedule: &[Actor]) -> String {
    let blocks: Vec<String> = schedule
        .chunk_by(PartialEq::eq)
        .map(|block| match block.len() {
            1 => block[0].0.to_string(),
            steps => format!("{}x{steps}", block[0].0),
        })
        .collect();
    format!("{test}:{}", blocks.join("."))
}

/// The schedule in the text if it is one of this test; why it cannot be read, if so.
pub(crate) fn read(text: &str, test: &str) -> Result<Option<Vec<Actor>>, String> {
    // A name has colons of its own; a schedule has none.
    let Some((name, schedule)) = text.trim().rsplit_once(':') else {
        return Err(format!(
            "{VARIABLE}={text}: a schedule begins with the name of its test and a colon"
        ));
    };
    if name != test {
        return Ok(None);
    }
    let mut actors = Vec::new();
    for block in schedule.split('.').filter(|_| !schedule.is_empty()) {
        let (actor, steps) = block.split_once('x').unwrap_or((block, "1"));
        let (Ok(actor), Ok(steps @ 1..=10_000)) = (actor.parse(), steps.parse::<usize>()) else {
            return Err(format!(
                "{VARIABLE}={text}: `{block}` is no part of a schedule; one looks like 0x2.1.0"
            ));
        };
        actors.extend(std::iter::repeat_n(Actor(actor), steps));
    }
    Ok(Some(actors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_read_as_it_was_written() {
        let schedule: Vec<Actor> = [0, 0, 1, 0, 12, 12, 12].map(Actor).into();
        let text = write("lobby::full", &schedule);
        assert_eq!(text, "lobby::full:0x2.1.0.12x3");
        assert_eq!(read(&text, "lobby::full"), Ok(Some(schedule)));
        assert_eq!(read(&text, "lobby::empty"), Ok(None));
        assert_eq!(read("full:", "full"), Ok(Some(Vec::new())));
    }

    #[test]
    fn a_schedule_is_misspelt() {
        for text in ["full:0x", "full:0.a", "full:0x0", "full:1,2", "full:-1"] {
            let error = read(text, "full").expect_err(text);
            assert!(error.contains("is no part of a schedule"), "{error}");
        }
        assert!(read("0.1", "full").is_err());
    }
}
