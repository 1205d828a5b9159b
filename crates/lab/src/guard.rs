//! Whom a lab lets in through its gates: nobody comes to another database by mistake.
//!
//! A gate leads to a server, and a client says which database there it wants. On a private server any other than another
//! lab's is nobody's business (it is said once, see `Notes`); on a server that others use, nothing but the lab's own
//! databases is touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadheat_gate::{Door, Newcomer};

/// What the names of all scratch databases begin with.
const SCRATCH: &str = "deadheat_";

/// What a gate leads to.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// The lab's databases on its server.
    pub own: BTreeSet<String>,
    /// The server is the lab's own.
    pub private: bool,
    /// Its only client is in this process.
    pub inside: bool,
}

impl Guard {
    /// The gate's door.
    pub fn door(self) -> Door {
        Door {
            admit: Some(Arc::new(move |newcomer| self.admit(newcomer))),
            ..Door::default()
        }
    }

    fn admit(&self, newcomer: &Newcomer<'_>) -> Result<(), String> {
        let name = newcomer.database();
        let elses = !self.private || name.starts_with(SCRATCH);
        if self.inside && !newcomer.inside {
            Err("this gate is for a SQL actor, and for nobody else".to_owned())
        } else if elses && !self.own.contains(name) {
            let own: Vec<&str> = self.own.iter().map(String::as_str).collect();
            Err(format!(
                "this gate leads to {} and not to \"{name}\", which is no database of this scenario",
                own.join(" and ")
            ))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn guard(private: bool, inside: bool) -> Guard {
        Guard {
            own: BTreeSet::from(["deadheat_2".to_owned()]),
            private,
            inside,
        }
    }

    fn asks(guard: &Guard, database: &str, inside: bool) -> Result<(), String> {
        let startup = BTreeMap::from([("database".to_owned(), database.to_owned())]);
        guard.admit(&Newcomer {
            startup: &startup,
            inside,
        })
    }

    #[test]
    fn the_labs_own_database_is_open() {
        for private in [true, false] {
            assert_eq!(asks(&guard(private, false), "deadheat_2", false), Ok(()));
        }
    }

    #[test]
    fn another_labs_database_is_closed() {
        for private in [true, false] {
            let said = asks(&guard(private, false), "deadheat_3", false).expect_err("closed");
            assert!(
                said.contains("deadheat_2 and not to \"deadheat_3\""),
                "{said}"
            );
        }
    }

    #[test]
    fn other_peoples_databases_are_closed() {
        assert!(asks(&guard(false, false), "shop", false).is_err());
        assert!(asks(&guard(false, false), "postgres", false).is_err());
        assert_eq!(asks(&guard(true, false), "postgres", false), Ok(()));
    }

    #[test]
    fn nobody_comes_in_for_a_sql_actor_but_the_lab() {
        assert_eq!(asks(&guard(true, true), "deadheat_2", true), Ok(()));
        assert!(asks(&guard(true, true), "deadheat_2", false).is_err());
    }
}
