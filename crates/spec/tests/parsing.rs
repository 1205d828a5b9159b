//! Specs that can be read, and what is said of those that cannot.
#![allow(missing_docs)]

use deadheat_spec::{Marker, StepId, parse};

const SESSIONS: &str =
    "session one step a { SELECT 1; } step b { SELECT 2; }\nsession two step c { SELECT 3; }\n";

fn step(session: usize, step: usize) -> StepId {
    StepId { session, step }
}

#[test]
fn a_spec_has_setups_sessions_and_permutations() {
    let text = "setup { A } setup { B } teardown { C }\nsession \"the one\" setup { D }\nstep a { E } teardown { F }\npermutation a a\n";
    let spec = parse(text).expect("a spec");
    assert_eq!(spec.setups, ["A", "B"]);
    assert_eq!(spec.teardown.as_deref(), Some("C"));
    assert_eq!(spec.sessions[0].name, "the one");
    assert_eq!(spec.sessions[0].setup.as_deref(), Some("D"));
    assert_eq!(spec.sessions[0].teardown.as_deref(), Some("F"));
    assert_eq!(spec.permutations[0].len(), 2);
}

#[test]
fn markers_name_steps_of_the_same_permutation() {
    let text = format!("{SESSIONS}permutation a(*, c, c notices 2) c b\n");
    let spec = parse(&text).expect("a spec");
    let c = step(1, 0);
    assert_eq!(
        spec.permutations[0][0].markers,
        [Marker::Waits, Marker::After(c), Marker::Notices(c, 2)]
    );
    assert_eq!(spec.permutations[0][2].step, step(0, 1));
}

#[test]
fn steps_that_no_permutation_has_are_named_in_order() {
    let spec = parse(&format!("{SESSIONS}permutation b\n")).expect("a spec");
    assert_eq!(spec.unused(), ["a", "c"]);
    assert!(parse(SESSIONS).expect("a spec").unused().is_empty());
}

/// What is said, on which line, about which words.
fn said(text: &str) -> (String, usize, String) {
    let problem = parse(text).expect_err("a mistake");
    (
        problem.message.clone(),
        problem.line(text),
        text[problem.span].to_owned(),
    )
}

#[test]
fn mistakes_are_told_with_their_place() {
    let told = [
        (
            "",
            "the file ends where setup, teardown or a session should stand",
            1,
            "",
        ),
        (
            "session s\n",
            "the file ends where a step should stand",
            2,
            "",
        ),
        (
            "session s\nstep a\nstep b { }",
            "unexpected `step` where a block { of SQL } should stand",
            3,
            "step",
        ),
        (
            "session s step setup { }",
            "unexpected `setup` where the step's name should stand",
            1,
            "setup",
        ),
        (
            "session s step 1st { }",
            "unexpected number 1 where the step's name should stand",
            1,
            "1",
        ),
        (
            "session s step a { } x",
            "unexpected name \"x\" where a step, teardown, a session or a permutation should stand",
            1,
            "x",
        ),
        (
            "session s step a { }\nsession t step a { }",
            "another step is named \"a\"",
            2,
            "a",
        ),
        (
            "session s step a { }\npermutation",
            "the file ends where a step's name should stand",
            2,
            "",
        ),
        (
            "session s step a { }\npermutation A",
            "no step is named \"A\"",
            2,
            "A",
        ),
        (
            "session s step a { SELECT 1;",
            "this block of SQL has no end",
            1,
            "{",
        ),
        ("session s; step a { }", "unexpected character ';'", 1, ";"),
    ];
    for (text, message, line, words) in told {
        assert_eq!(
            said(text),
            (message.to_owned(), line, words.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn a_marker_cannot_wait_for_its_own_session_or_for_nobody() {
    let told = [
        (
            "a(b) b",
            "the step waits for \"b\", which its own session runs",
        ),
        ("a(c)", "the permutation has no step \"c\" to wait for"),
        ("a(d) c", "the permutation has no step \"d\" to wait for"),
        (
            "a(c notices) c",
            "unexpected `)` where the number of notices should stand",
        ),
        (
            "a(c c)",
            "unexpected name \"c\" where `,` or `)` should stand",
        ),
    ];
    for (permutation, message) in told {
        assert_eq!(
            said(&format!("{SESSIONS}permutation {permutation}")).0,
            message,
            "{permutation}"
        );
    }
}
