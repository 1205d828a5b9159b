//! Races as files.

use super::races;
use crate::{Judgement, LoadError, Oracle, Rules, Saved, compare_steps};

fn saved() -> Saved {
    let mut oracle = Oracle::new(Rules::default());
    for order in races::BOTH {
        oracle.add_serial(order.to_vec(), races::deposits_serially(order[0].0));
    }
    let record = races::lost_update();
    let Judgement::Race(finding) = oracle.judge(&record) else {
        panic!("a race")
    };
    Saved::new("bank.toml", "title = 'bank'", &record, &finding, 1)
}

#[test]
fn a_saved_race_comes_back_as_it_was() {
    let text = saved().to_json().unwrap();
    let again = Saved::from_json(&text).unwrap();
    assert_eq!(again.to_json().unwrap(), text);
    assert_eq!(again.schedule, ["amy", "ben", "amy", "ben", "amy", "ben"]);
    assert_eq!(compare_steps(&again, &races::lost_update()), None);
}

#[test]
fn the_first_step_that_changed_is_shown() {
    let mut record = races::lost_update();
    record.steps[2].fingerprint += 1;
    record.steps[2].statements[0].sql = "update accounts set balance = balance + 10".to_owned();
    let first = compare_steps(&saved(), &record).unwrap();
    assert_eq!(first.at, 2);
    assert_eq!(
        first.saved.unwrap().label,
        "update accounts set balance = 110 where id = 1"
    );
    assert_eq!(
        first.now.unwrap().label,
        "update accounts set balance = balance + 10"
    );
    record = races::lost_update();
    record.steps.pop();
    let first = compare_steps(&saved(), &record).unwrap();
    assert_eq!((first.at, first.now), (5, None));
}

#[test]
fn files_of_other_kinds_are_refused_with_a_reason() {
    assert!(matches!(
        Saved::from_json("{}"),
        Err(LoadError::Malformed(_))
    ));
    assert!(matches!(
        Saved::from_json(r#"{"format": 9}"#),
        Err(LoadError::Format { found: 9 })
    ));
    let mut broken = saved();
    broken.schedule[0] = "zoe".to_owned();
    let text = broken.to_json().unwrap();
    let error = Saved::from_json(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this saved race was changed by hand: the schedule names zoe, who is no actor"
    );
}
