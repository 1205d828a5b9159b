//! What the tests search: small programs over a model of shared cells, locks, mailboxes and SQL rows.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod brute;
pub mod drive;
pub mod generate;
pub mod known;
pub mod machine;
pub mod rows;
