//! Which user a private server runs as: PostgreSQL refuses to run as root.

use std::fs;

/// An account of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The account to switch to; `None` when we are not root and stay who we are.
pub(crate) fn to_run_as() -> Option<User> {
    if !is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = ["postgres", "nobody"]
        .iter()
        .find_map(|name| account(&accounts, name));
    // The id Linux gives to "nobody" even where no account has it.
    Some(found.unwrap_or(User {
        name: "nobody".to_owned(),
        uid: 65534,
        gid: 65534,
    }))
}

fn account(accounts: &str, name: &str) -> Option<User> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then(|| User {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::account;

    #[test]
    fn an_account_with_the_rights_of_root_is_not_taken() {
        let accounts =
            "root:x:0:0::/root:/bin/sh\npostgres:x:0:0::/:/bin/sh\nnobody:x:99:98::/:/bin/sh\n";
        assert_eq!(account(accounts, "postgres"), None);
        assert_eq!(
            account(accounts, "nobody").map(|user| (user.uid, user.gid)),
            Some((99, 98))
        );
    }
}
