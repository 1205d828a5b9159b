//! Test points in SQL: a `select` of nothing with a comment that gives the place in the code a name.

/// The name of the point, and the values shown with it, if the text is one:
/// `select /* deadheat:point before_save {"seat": 3} */`.
pub fn point(sql: &str) -> Option<(&str, &str)> {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    if !sql.get(..6)?.eq_ignore_ascii_case("select") {
        return None;
    }
    let comment = sql[6..].trim_start();
    let inside = comment.strip_prefix("/*")?.strip_suffix("*/")?;
    if inside.contains("*/") {
        return None;
    }
    let said = inside.trim().strip_prefix("deadheat:point")?;
    let (name, values) = said
        .trim_start()
        .split_once(char::is_whitespace)
        .unwrap_or((said.trim_start(), ""));
    (said.starts_with(char::is_whitespace) && !name.is_empty()).then_some((name, values.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_select_of_nothing_with_a_name_is_a_point() {
        assert_eq!(
            point("select /* deadheat:point before_save */"),
            Some(("before_save", ""))
        );
        assert_eq!(
            point(" SELECT/*deadheat:point a {\"n\": 1}*/ ; "),
            Some(("a", "{\"n\": 1}"))
        );
    }

    #[test]
    fn whatever_does_something_is_none() {
        for sql in [
            "select 1 /* deadheat:point a */",
            "select /* deadheat:point a */ from t",
            "select /* deadheat:point a */ * from t /* */",
            "update t set v = 1 /* deadheat:point a */",
            "select /* deadheat:pointless a */",
            "select /* deadheat:point */",
            "select",
            "",
        ] {
            assert_eq!(point(sql), None, "{sql}");
        }
    }
}
