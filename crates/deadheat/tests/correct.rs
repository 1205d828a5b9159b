//! Pairs of scenarios: one that is right, of which nothing may be said, and its twin, which races and must be found.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{Bench, has, verdict};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/correct")
}

/// The cured twin is clean, every trace of it explored; the racy twin has a race of this kind.
#[track_caller]
fn pair(name: &str, kind: &str) {
    let find = |side: &str| Bench::new().find(&folder().join(format!("{name}.{side}.toml")), &[]);
    let (said, json) = find("cured");
    assert_eq!(verdict(&json), ("clean", "none"), "{name}: {json:#}");
    assert_eq!((said.code, &json["exhausted"]), (0, &true.into()), "{name}");
    let (said, json) = find("racy");
    assert_eq!(verdict(&json), ("race", kind), "{name}: {json:#}");
    assert_eq!(said.code, 1, "{name}");
}

#[track_caller]
fn service(name: &str, kind: &str) {
    if has("python3") {
        pair(name, kind);
    }
}

macro_rules! pairs {
    ($($way:ident [$($test:ident, $name:literal, $kind:literal;)*])*) => {
        $($(
            #[test]
            fn $test() {
                $way($name, $kind);
            }
        )*)*

        const NAMES: &[&str] = &[$($($name,)*)*];
    };
}

pairs! {
    pair [
        a_game_is_locked_before_its_players_are_counted, "locked-parent", "check-then-act";
        stock_is_looked_at_by_the_update_itself, "atomic-stock", "check-then-act";
        a_first_visit_is_an_insert_on_conflict, "upsert", "unhandled-error";
        serializable_turns_one_doctor_down, "serializable", "write-skew";
        an_advisory_lock_is_one_for_all, "advisory-lock", "lost-update";
        workers_skip_what_is_locked, "skip-locked", "lost-update";
        a_limit_is_compared_where_it_is_counted, "rate-limit", "check-then-act";
        serial_ids_are_those_that_were_returned, "serial-id", "dirty-read";
        identities_are_those_that_were_returned, "identity-id", "dirty-read";
        the_database_makes_random_ids, "uuid-default", "duplicate-insert";
        the_database_tells_the_time, "now-default", "duplicate-insert";
        a_comment_locks_a_post_that_may_be_deleted, "soft-delete", "check-then-act";
        a_unique_index_keeps_a_name_single, "unique-name", "duplicate-insert";
        nights_that_overlap_are_excluded, "exclusion", "check-then-act";
        accounts_are_locked_in_one_order, "lock-order", "deadlock";
        a_table_is_locked_against_writers, "table-lock", "check-then-act";
        a_foreign_key_guards_a_team, "foreign-key", "check-then-act";
        a_partial_index_lets_one_be_active, "one-active", "duplicate-insert";
        a_check_guards_a_balance, "check-balance", "lost-update";
        a_report_is_of_one_moment, "report", "read-skew";
        invoices_are_numbered_by_a_row, "gapless-number", "check-then-act";
        columns_are_written_one_by_one, "column-update", "lost-update";
        likes_are_counted_on, "likes", "stale-read";
        a_tag_is_shared, "shared-tag", "unhandled-error";
        rows_lie_in_whatever_order, "heap-order", "read-skew";
    ]

    service [
        the_client_sends_the_version_that_it_edited, "sent-version", "lost-update";
        who_comes_too_late_is_turned_down, "read-version", "lost-update";
        who_comes_too_late_tries_again, "swap-until-saved", "unhandled-error";
        who_cannot_be_serialized_tries_again, "retried", "serialization-failure";
        a_charge_is_sent_twice, "idempotency-key", "stale-read";
        a_token_is_random_and_one, "token", "check-then-act";
        a_page_and_its_total_agree, "page-of-items", "read-skew";
        the_service_makes_random_ids, "own-uuid", "check-then-act";
        the_service_tells_the_time, "own-clock", "lost-update";
        a_list_comes_in_whatever_order, "list-without-order", "read-skew";
        a_transaction_is_closed_whatever_happens, "open-transaction", "left-open";
    ]
}

#[test]
fn every_pair_is_tried() {
    let names: BTreeSet<String> = NAMES.iter().map(ToString::to_string).collect();
    let files = std::fs::read_dir(folder()).expect("the folder of the pairs");
    let on_disk: BTreeSet<String> = files
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter_map(|name| Some(name.strip_suffix(".cured.toml")?.to_owned()))
        .collect();
    assert_eq!(names, on_disk);
    assert!(names.len() >= 25);
}
