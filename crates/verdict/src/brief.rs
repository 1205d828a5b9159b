//! Long statements, such as those of object-relational mappers, cut down to what a reader needs: quotes that nothing needs
//! go, lists of columns and values are cut, the table and the condition stay.

/// A statement up to this length is shown as it is.
const LONG: usize = 90;
/// Room for a list of columns, assignments or values of a long statement.
const LIST: usize = 44;
/// Room for what an UPDATE sets, which says most of it.
const SET: usize = 56;
/// Room for a quoted value of a long statement.
const VALUE: usize = 26;

/// The statement (on one line), without needless quotes; shortened if it is long.
pub(crate) fn brief(sql: &str) -> String {
    let plain = unquoted(sql);
    if plain.chars().count() <= LONG {
        return plain;
    }
    let plain = without_own_table(&short_values(&plain));
    if plain.chars().count() <= LONG {
        return plain;
    }
    cut_lists(&plain, LIST)
}

/// A brief statement in at most so many characters, for a sentence: rather without its lists than without its condition.
pub(crate) fn tight(brief: &str, width: usize) -> String {
    if brief.chars().count() <= width {
        return brief.to_owned();
    }
    crate::words::cut(&cut_lists(brief, 16), width)
}

fn cut_lists(sql: &str, room: usize) -> String {
    match crate::errors::first_word(sql).as_str() {
        "select" => select(sql, room),
        "insert" => insert(sql, room),
        "update" => between(sql, (" set ", " where "), room.max(SET)),
        _ => sql.to_owned(),
    }
}

/// A row as `name=value`, in order if there is room for all; else what says most comes first: columns that `wanted`
/// names, then numbers that are no ids, and last what is empty.
pub(crate) fn cells(row: &[(&String, &str)], wanted: &str, room: usize) -> String {
    let text = |(name, value): &(&String, &str)| format!("{name}={value}");
    let join = |row: &[(&String, &str)]| row.iter().map(text).collect::<Vec<_>>().join(" ");
    let all = join(row);
    if all.chars().count() <= room {
        return all;
    }
    let rank = |(name, value): &(&String, &str)| {
        let id = name.as_str() == "id" || name.ends_with("_id");
        let mut words = wanted.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if !id && words.any(|word| word == name.as_str()) {
            0
        } else if matches!(*value, "" | "null") {
            3
        } else if value.parse::<f64>().is_ok() && !id {
            1
        } else {
            2
        }
    };
    let mut sorted = row.to_vec();
    sorted.sort_by_key(rank);
    crate::words::cut(&join(&sorted), room)
}

/// Identifiers that need no quotes lose them; texts (in single quotes) stay.
fn unquoted(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    let mut in_text = false;
    while let Some(at) = rest.find(['"', '\'']) {
        out.push_str(&rest[..at]);
        let quote = &rest[at..=at];
        rest = &rest[at + 1..];
        if quote == "'" {
            in_text = !in_text;
            out.push_str(quote);
            continue;
        }
        let name = rest.find('"').map(|end| &rest[..end]);
        match name {
            Some(name) if !in_text && is_plain(name) => {
                out.push_str(name);
                rest = &rest[name.len() + 1..];
            }
            _ => out.push_str(quote),
        }
    }
    out.push_str(rest);
    out
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Long texts cut, and casts behind texts left out.
fn short_values(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut parts = sql.split('\'');
    out.push_str(parts.next().unwrap_or_default());
    while let Some(text) = parts.next() {
        out.extend(["'", &crate::words::cut(text, VALUE), "'"]);
        let after = parts.next().unwrap_or_default();
        let cast = after.strip_prefix("::").map_or(0, |kind| {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            2 + kind.find(|c| !word(c)).unwrap_or(kind.len())
        });
        out.push_str(&after[cast..]);
    }
    out
}

/// `basket.owner` is `owner` where no other table is near.
fn without_own_table(sql: &str) -> String {
    let words: Vec<&str> = sql.split(' ').collect();
    let mut tables: Vec<&str> = words
        .windows(2)
        .filter(|pair| {
            let before = pair[0].to_lowercase();
            matches!(
                before.as_str(),
                "from" | "join" | "update" | "into" | "using"
            )
        })
        .map(|pair| pair[1])
        .collect();
    tables.dedup();
    match tables.as_slice() {
        [one] if is_plain(one) => {
            let prefix = format!("{one}.");
            let mut out = String::with_capacity(sql.len());
            let mut rest = sql;
            while let Some(at) = rest.find(&prefix) {
                let inside = rest[..at]
                    .chars()
                    .next_back()
                    .is_some_and(|c| c.is_alphanumeric() || "_.".contains(c));
                out.push_str(&rest[..at]);
                if inside {
                    out.push_str(&prefix);
                }
                rest = &rest[at + prefix.len()..];
            }
            out + rest
        }
        _ => sql.to_owned(),
    }
}

/// What is read is cut, joined tables are left out; the first table and the condition stay.
fn select(sql: &str, room: usize) -> String {
    let out = between(sql, ("select ", " from "), room);
    let lower = out.to_ascii_lowercase();
    let joins = [" inner join ", " left outer join ", " left join ", " join "]
        .iter()
        .filter_map(|join| lower.find(join))
        .min();
    let Some(join) = joins else {
        return out;
    };
    let end = [" where ", " order by ", " group by ", " limit "]
        .iter()
        .filter_map(|word| lower[join..].find(word).map(|at| at + join))
        .min()
        .unwrap_or(out.len());
    format!("{} JOIN …{}", &out[..join], &out[end..])
}

/// Columns and values are cut alike.
fn insert(sql: &str, room: usize) -> String {
    let out = between(sql, (" (", ") values "), room);
    between(&out, (") values (", ")"), room)
}

/// The text with what stands between the two words cut, if both are there.
fn between(sql: &str, (before, after): (&str, &str), room: usize) -> String {
    // Only letters of ASCII change, so that both texts are as long.
    let lower = sql.to_ascii_lowercase();
    let Some(start) = lower.find(before).map(|at| at + before.len()) else {
        return sql.to_owned();
    };
    let end = if after == ")" {
        lower.rfind(')').filter(|end| *end >= start)
    } else {
        lower[start..].find(after).map(|at| at + start)
    };
    let Some(end) = end else {
        return sql.to_owned();
    };
    let list = &sql[start..end];
    if list.chars().count() <= room {
        return sql.to_owned();
    }
    format!("{}{}…{}", &sql[..start], some_of(list, room), &sql[end..])
}

/// As much of a list as there is room for, cut between two of its things; if its first has none, as much of that.
fn some_of(list: &str, room: usize) -> String {
    let mut depth = 0;
    let mut end = 0;
    for (n, (at, c)) in list.char_indices().enumerate() {
        if n >= room {
            break;
        }
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 && list[at + 1..].starts_with(' ') => end = at + 2,
            _ => {}
        }
    }
    if end == 0 {
        return list.chars().take(room).collect();
    }
    list[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn a_short_statement_only_loses_quotes_that_nothing_needs() {
        assert_eq!(
            brief(r#"select "n", "Name" from "t" where "x" = '"y"'"#),
            r#"select n, "Name" from t where x = '"y"'"#
        );
    }

    #[test]
    fn of_a_long_select_the_table_and_the_condition_stay() {
        let sql = r#"SELECT "order_order"."id", "order_order"."number", "order_order"."site_id", "order_order"."basket_id" FROM "order_order" WHERE "order_order"."number" = '100001' LIMIT 1"#;
        assert_eq!(
            brief(sql),
            "SELECT id, number, site_id, basket_id FROM order_order WHERE number = '100001' LIMIT 1"
        );
        let sql = sql.replace(r#""order_order"."basket_id" FROM"#, r#""order_order"."basket_id", "order_order"."user_id", "order_order"."date_placed" FROM"#);
        assert_eq!(
            brief(&sql),
            "SELECT id, number, site_id, basket_id, user_id, … FROM order_order WHERE number = '100001' LIMIT 1"
        );
    }

    #[test]
    fn joined_tables_are_left_out() {
        let sql = r#"SELECT "line"."id", "product"."title", "product"."slug" FROM "line" INNER JOIN "product" ON ("line"."product_id" = "product"."id") WHERE "line"."basket_id" = 1"#;
        assert_eq!(
            brief(sql),
            "SELECT line.id, product.title, product.slug FROM line JOIN … WHERE line.basket_id = 1"
        );
    }

    #[test]
    fn of_a_long_change_the_lists_are_cut() {
        let sql = r#"INSERT INTO "mail" ("user_id", "address", "subject", "text", "page", "sent_at") VALUES (1, 'u1@example.com', 'Confirmation of your order 100001', 'Hello', '2026-11-22T15:09:33.744632+00:00'::timestamptz) RETURNING "mail"."id""#;
        assert_eq!(
            brief(sql),
            "INSERT INTO mail (user_id, address, subject, text, page, …) VALUES (1, 'u1@example.com', …) RETURNING id"
        );
        let sql = r#"UPDATE "basket" SET "owner_id" = 1, "status" = 'Frozen', "created" = '2026-11-22T15:09:30.443620+00:00'::timestamptz, "merged" = NULL WHERE "basket"."id" = 1"#;
        assert_eq!(
            brief(sql),
            "UPDATE basket SET owner_id = 1, status = 'Frozen', … WHERE id = 1"
        );
    }

    #[test]
    fn in_a_sentence_the_condition_outlives_the_list() {
        let sql = "SELECT id, number, site_id, basket_id, user_id, … FROM order_order WHERE number = '100001' LIMIT 1";
        assert_eq!(
            super::tight(sql, 80),
            "SELECT id, number, … FROM order_order WHERE number = '100001' LIMIT 1"
        );
        assert_eq!(super::tight("select 1", 80), "select 1");
    }
}
