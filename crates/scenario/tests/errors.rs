//! What is said about each mistake, as people see it.

use std::path::Path;

use deadheat_scenario::{load, parse};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

/// As it is printed where there are no colours.
fn render(errors: &dyn Diagnostic) -> String {
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut text = String::new();
    handler.render_report(&mut text, errors).unwrap();
    text
}

fn mistakes(text: &str) -> String {
    render(&parse("lobby.toml", text, Path::new("tests/lobby")).expect_err("the mistake is found"))
}

const DATABASE: &str = "[database]\nengine = \"postgres\"\n";
const SERVICE: &str = "[service.web]\nrun = \"python app.py\"\n";
const ACTOR: &str = "[[actor]]\nname = \"ben\"\nrun = \"true\"\n";

/// With a good database.
fn with_database(text: &str) -> String {
    mistakes(&format!("{DATABASE}{text}"))
}

/// With a good database and a good service.
fn with_service(text: &str) -> String {
    with_database(&format!("{SERVICE}{text}"))
}

/// With a good database, service and actor.
fn with_actor(text: &str) -> String {
    with_service(&format!("{ACTOR}{text}"))
}

macro_rules! stories {
    ($($name:ident: $errors:expr;)+) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!($errors);
            }
        )+
    };
}

// The file.
stories! {
    the_file_is_not_there: render(&load(Path::new("tests/lobby/loby.toml")).unwrap_err());
    the_file_is_not_toml: mistakes("title = \"never closed\n[database\nengine = postgres\n");
    the_file_is_empty: mistakes("");
    the_file_is_a_folder: render(&load(Path::new("tests/lobby")).unwrap_err());
    a_table_is_written_twice: with_database(DATABASE);
    a_table_is_misspelt: with_actor("[chek]\nserial = true\n");
    a_key_is_like_no_other: with_actor("[check]\nxylophone = true\n");
    the_title_is_a_number: mistakes(&format!("title = 5\n{DATABASE}{ACTOR}"));
    many_mistakes_are_told_at_once: mistakes(
        "titel = \"x\"\n[database]\nengine = \"mysql\"\n[service.web]\nrunn = \"x\"\n[[actor]]\nname = \"ben\"\nrequest = \"post /\"\n[explore]\ntime = \"soon\"\n",
    );
}

// Databases.
stories! {
    there_is_no_database: mistakes(ACTOR);
    the_engine_is_missing: mistakes(&format!("[database]\nsetup = []\n{ACTOR}"));
    the_engine_is_another: mistakes(&format!("[database]\nengine = \"oracle\"\n{ACTOR}"));
    the_engine_is_misspelt: mistakes(&format!("[database]\nengine = \"postgresql\"\n{ACTOR}"));
    a_setup_file_is_missing: with_database(&format!("setup = [\"schema.sql\", \"sed.sql\"]\n{ACTOR}"));
    a_setup_file_is_a_folder: with_database(&format!("setup = \"web\"\n{ACTOR}"));
    a_setup_file_is_a_number: with_database(&format!("setup = [1]\n{ACTOR}"));
    a_database_key_is_misspelt: with_database(&format!("setings = {{ work_mem = \"1MB\" }}\n{ACTOR}"));
    a_named_database_has_a_misspelt_key: mistakes(&format!("[database.logs]\nengin = \"postgres\"\n{ACTOR}"));
    the_migration_is_empty: with_database(&format!("prepare = \"\"\n{ACTOR}"));
    the_server_is_no_url: with_database(&format!("server = \"localhost\"\n{ACTOR}"));
    a_setting_has_an_odd_name: with_database(&format!("settings = {{ \"a b\" = 1 }}\n{ACTOR}"));
    two_databases_are_called_main: with_database(&format!("[database.main]\nengine = \"postgres\"\n{ACTOR}"));
    a_database_has_an_odd_name: mistakes(&format!("[database.\"a b\"]\nengine = \"postgres\"\n{ACTOR}"));
    the_database_is_a_string: mistakes(&format!("database = \"postgres\"\n{ACTOR}"));
}

// Services.
stories! {
    a_service_has_no_name: with_database(&format!("[service]\nrun = \"python app.py\"\n{ACTOR}"));
    a_service_does_not_run: with_database(&format!("[service.web]\ndirectory = \"web\"\n{ACTOR}"));
    a_service_is_in_no_folder: with_service(&format!("directory = \"wbe\"\n{ACTOR}"));
    a_command_is_empty: with_database(&format!("[service.web]\nrun = \" \"\n{ACTOR}"));
    a_service_is_ready_on_post: with_service(&format!("ready = \"POST /health\"\n{ACTOR}"));
    a_service_is_ready_by_an_unknown_key: with_service(&format!("ready = {{ logs = \"listening\" }}\n{ACTOR}"));
    a_service_is_ready_at_once: with_service(&format!("ready = {{ log = \"\" }}\n{ACTOR}"));
    a_service_is_ready_by_number: with_service(&format!("ready = 8080\n{ACTOR}"));
    a_service_is_ready_within_nothing: with_service(&format!("ready_within = \"0s\"\n{ACTOR}"));
    a_service_is_reset_by_a_word: with_service(&format!("reset = \"reboot\"\n{ACTOR}"));
    a_service_speaks_of_an_unknown_one: with_service(&format!("env = {{ URL = \"{{service.wbe}}\" }}\n{ACTOR}"));
    a_variable_has_an_odd_name: with_service(&format!("env = {{ \"A=B\" = 1 }}\n{ACTOR}"));
    a_variable_is_a_list: with_service(&format!("env = {{ A = [1] }}\n{ACTOR}"));
    a_service_uses_an_unknown_database: with_service(&format!("database = \"logs\"\n{ACTOR}"));
    a_service_has_to_choose_a_database: mistakes(&format!(
        "[database.a]\nengine = \"postgres\"\n[database.b]\nengine = \"postgres\"\n{SERVICE}{ACTOR}"
    ));
}

// Actors and what they do.
stories! {
    nobody_acts: with_service("");
    the_list_of_actors_is_empty: mistakes("actor = []\n[database]\nengine = \"postgres\"\n");
    an_actor_is_written_with_one_bracket: with_service("[actor]\nname = \"ben\"\nrun = \"true\"\n");
    an_actor_has_no_name: with_service("[[actor]]\nrun = \"true\"\n");
    an_actor_has_an_empty_name: with_service("[[actor]]\nname = \"\"\nrun = \"true\"\n");
    an_actor_does_nothing: with_service("[[actor]]\nname = \"ben\"\n");
    an_actor_does_two_things: with_service("[[actor]]\nname = \"ben\"\nrequest = \"GET /\"\nrun = \"true\"\n");
    two_actors_have_one_name: with_actor(ACTOR);
    copies_have_one_name: with_service("[[actor]]\nname = \"ben\"\ncopies = 2\nrun = \"true\"\n");
    copies_are_too_many: with_service("[[actor]]\nname = \"p{n}\"\ncopies = 101\nrun = \"true\"\n");
    copies_are_a_word: with_service("[[actor]]\nname = \"p{n}\"\ncopies = \"four\"\nrun = \"true\"\n");
    copies_share_a_mistake: with_service("[[actor]]\nname = \"p{n}\"\ncopies = 3\nrequest = \"GETT /\"\n");
    an_actor_has_no_requests: with_service("[[actor]]\nname = \"ben\"\nrequests = []\n");
    an_actor_has_no_statements: with_service("[[actor]]\nname = \"ben\"\nsql = []\n");
    one_of_the_requests_has_none: with_service("[[actor]]\nname = \"ben\"\nrequests = [{ json = 1 }]\n");
    a_body_stands_beside_the_requests: with_service(
        "[[actor]]\nname = \"ben\"\nrequests = [{ request = \"GET /\" }]\njson = 1\n",
    );
    a_command_has_headers: with_actor("headers = { A = \"b\" }\nfollow = true\n");
    a_request_has_a_folder: with_service("[[actor]]\nname = \"ben\"\nrequest = \"GET /\"\ndirectory = \"web\"\n");
    a_step_is_two_statements: with_service("[[actor]]\nname = \"ben\"\nsql = [\"begin; select 1\"]\n");
    a_step_is_no_statement: with_service("[[actor]]\nname = \"ben\"\nsql = [\"begin\", \"-- later\"]\n");
    a_step_is_a_number: with_service("[[actor]]\nname = \"ben\"\nsql = [1]\n");
    a_condition_is_empty: with_service("[[actor]]\nname = \"ben\"\nsql = [{ when = \"\", run = \"commit\" }]\n");
    a_step_only_has_a_condition: with_service("[[actor]]\nname = \"ben\"\nsql = [{ when = \":n\" }]\n");
    nobody_is_logged_in: with_actor("[[before]]\nrequest = \"POST /login\"\nas = \"bne\"\n");
}

fn with_request(text: &str) -> String {
    with_service(&format!("[[actor]]\nname = \"ben\"\n{text}"))
}

// Requests.
stories! {
    there_is_no_service: with_database("[[actor]]\nname = \"ben\"\nrequest = \"GET /\"\n");
    the_service_is_unknown: with_request("request = \"GET /\"\nservice = \"wbe\"\n");
    the_service_has_to_be_chosen: with_service(
        "[service.mail]\nrun = \"python mail.py\"\n[[actor]]\nname = \"ben\"\nrequest = \"GET /\"\n",
    );
    the_method_is_missing: with_request("request = \"/games\"\n");
    the_method_is_in_small_letters: with_request("request = \"post /games\"\n");
    the_method_is_unknown: with_request("request = \"BREW /coffee\"\n");
    the_path_is_relative: with_request("request = \"GET games\"\n");
    the_path_is_a_url: with_request("request = \"GET http://127.0.0.1:8000/games/1\"\n");
    the_path_has_a_space: with_request("request = \"GET /my games\"\n");
    there_are_two_bodies: with_request("request = \"POST /\"\njson = 1\nform = { a = 1 }\n");
    the_form_is_nested: with_request("request = \"POST /\"\nform = { a = { b = 1 } }\n");
    a_number_is_not_json: with_request("request = \"POST /\"\njson = { a = nan }\n");
    a_header_has_an_odd_name: with_request("request = \"GET /\"\nheaders = { \"a b\" = \"c\" }\n");
    a_header_has_two_lines: with_request("request = \"GET /\"\nheaders = { A = \"b\\nc\" }\n");
    a_value_is_saved_from_nowhere: with_request("request = \"GET /\"\nsave = { seat = \"jsn:$.seat\" }\n");
    a_value_is_saved_from_a_plain_word: with_request("request = \"GET /\"\nsave = { seat = \"seat\" }\n");
    a_value_is_saved_from_a_bad_path: with_request("request = \"GET /\"\nsave = { seat = \"json:seat\" }\n");
    a_value_is_saved_by_a_bad_pattern: with_request("request = \"GET /\"\nsave = { seat = \"regex:(\" }\n");
    a_header_is_saved_without_a_name: with_request("request = \"GET /\"\nsave = { seat = \"header:\" }\n");
    a_saved_value_has_an_odd_name: with_request("request = \"GET /\"\nsave = { \"my seat\" = \"json:$\" }\n");
    nothing_was_saved: with_request("request = \"GET /seats/{seat}\"\n");
    a_saved_value_is_misspelt: with_request(
        "requests = [{ request = \"GET /\", save = { seat = \"json:$\" } }, { request = \"POST /\", form = { a = \"{seta}\" } }]\n",
    );
    a_copy_is_numbered_without_copies: with_request("request = \"POST /\"\njson = { nick = \"p{n}\" }\n");
    a_value_is_used_before_it_is_saved: with_request(
        "requests = [{ request = \"GET /{seat}\", save = { seat = \"json:$\" } }]\n",
    );
}

// Checks and exploring.
stories! {
    serial_is_a_word: with_actor("[check]\nserial = \"yes\"\n");
    an_invariant_is_a_number: with_actor("[check]\ninvariants = { four = 4 }\n");
    an_invariant_is_two_queries: with_actor("[check]\ninvariants = { four = \"select 1; select 2\" }\n");
    an_invariant_has_a_misspelt_key: with_actor("[check]\ninvariants = { four = { sql = \"select true\", each_comit = true } }\n");
    a_mask_is_a_word: with_actor("[check]\nmask = [\"joined_at\"]\n");
    a_mask_is_a_bad_path: with_actor("[check]\nmask = [\"json:request_id\"]\n");
    an_allowed_error_is_a_word: with_actor("[check]\nallow = [\"deadlock\"]\n");
    an_allowed_status_is_out_of_range: with_actor("[check]\nallow = [600]\n");
    the_strategy_is_misspelt: with_actor("[explore]\nstrategy = \"exhaustiv\"\n");
    the_preemptions_are_negative: with_actor("[explore]\npreemptions = -1\n");
    there_are_no_runs: with_actor("[explore]\nruns = 0\n");
    the_time_has_no_unit: with_actor("[explore]\ntime = \"60\"\n");
    the_time_is_a_number: with_actor("[explore]\ntime = 60\n");
    there_are_no_labs: with_actor("[explore]\nlabs = 0\n");
    the_seed_is_a_fraction: with_actor("[explore]\nseed = 1.5\n");
    there_are_too_many_faults: with_actor("[explore]\nfaults = 1000\n");
    a_crash_is_a_word: with_actor("crash = \"always\"\n");
    nobody_hangs_up_on_a_command: with_actor("timeout = true\n");
    an_attached_actor_has_a_command: with_database("[[actor]]\nname = \"ann\"\nattached = true\nrun = \"true\"\n");
    an_attached_actor_may_crash: with_database("[[actor]]\nname = \"ann\"\nattached = true\ncrash = true\n");
    an_attached_actor_has_a_folder: with_database("[[actor]]\nname = \"ann\"\nattached = true\ndirectory = \"web\"\n");
    a_service_crashes_or_it_does_not: with_service(&format!("crash = \"restart\"\n{ACTOR}"));
    the_crash_of_a_service_has_the_name_of_another: with_service("crash = true\n[[actor]]\nname = \"web\"\ncrash = true\nrequest = \"GET /\"\n");
    a_fault_has_the_name_of_an_actor: with_actor("crash = true\n[[actor]]\nname = \"crash of ben\"\nrun = \"true\"\n");
}

#[test]
fn half_a_file_is_never_too_much() {
    let text = std::fs::read_to_string("tests/lobby/lobby.toml").unwrap();
    let mut wrong = 0;
    for (at, _) in text.char_indices() {
        // What is cut off may leave a good file, or one whose every problem can be shown.
        if let Err(errors) = parse("lobby.toml", &text[..at], Path::new("tests/lobby")) {
            assert!(!errors.problems().is_empty());
            assert!(render(&errors).contains('×'), "cut at {at}");
            wrong += 1;
        }
    }
    assert!(wrong > text.len() / 2, "only {wrong} of {}", text.len());
}

#[test]
fn any_line_may_be_lost() {
    let text = std::fs::read_to_string("tests/lobby/lobby.toml").unwrap();
    let lines: Vec<_> = text.lines().collect();
    for lost in 0..lines.len() {
        let rest: Vec<_> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != lost)
            .map(|(_, line)| *line)
            .collect();
        if let Err(errors) = parse("lobby.toml", &rest.join("\n"), Path::new("tests/lobby")) {
            assert!(render(&errors).contains('×'), "without line {lost}");
        }
    }
}
