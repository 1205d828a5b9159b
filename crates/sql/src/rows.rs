//! Which rows of a table: all, or those that certain equalities describe. Two sets are apart only if that is certain.

use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// A column by name, shared by a table and its partitions.
pub(crate) type Column = Arc<str>;

/// Rows in which every one of these columns has this value; sorted by column. Empty: any row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Image(pub(crate) Vec<(Column, Value)>);

impl Image {
    /// Sorts, and keeps only what can be compared.
    pub(crate) fn new(mut equalities: Vec<(Column, Value)>) -> Self {
        equalities.sort();
        equalities.dedup();
        Self(equalities)
    }

    /// Whether no row can be in both: some column has different values in them.
    fn apart(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some((a, x)), Some((b, y))) = (mine.peek(), theirs.peek()) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => {
                    mine.next();
                }
                std::cmp::Ordering::Greater => {
                    theirs.next();
                }
                std::cmp::Ordering::Equal if x != y => return true,
                std::cmp::Ordering::Equal => {
                    mine.next();
                    theirs.next();
                }
            }
        }
        false
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (column, value)) in self.0.iter().enumerate() {
            let and = if at == 0 { "" } else { " and " };
            write!(f, "{and}{column}={value}")?;
        }
        Ok(())
    }
}

/// A set of rows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rows {
    #[default]
    None,
    /// Rows of any of these images.
    Some(Vec<Image>),
    All,
}

/// More images than this are the whole table: comparing them costs more than it saves.
const MOST: usize = 128;

impl Rows {
    /// From images; an image without equalities is the whole table.
    pub(crate) fn of(images: Vec<Image>) -> Self {
        if images.len() > MOST || images.iter().any(|image| image.0.is_empty()) {
            Self::All
        } else if images.is_empty() {
            Self::None
        } else {
            Self::Some(images)
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether a row may be in both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, _) | (_, Self::None) => false,
            (Self::All, _) | (_, Self::All) => true,
            (Self::Some(mine), Self::Some(theirs)) => mine
                .iter()
                .any(|mine| theirs.iter().any(|theirs| !mine.apart(theirs))),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::None) | (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::None, Self::Some(_)) => *self = other.clone(),
            (Self::Some(mine), Self::Some(theirs)) => {
                for image in theirs {
                    if !mine.contains(image) {
                        mine.push(image.clone());
                    }
                }
                if mine.len() > MOST {
                    *self = Self::All;
                }
            }
        }
    }

    /// The same rows described by those equalities alone that `keep` accepts.
    pub(crate) fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        match self {
            Self::Some(images) => {
                let cut = |image: &Image| {
                    Image(
                        image
                            .0
                            .iter()
                            .filter(|(column, _)| keep(column))
                            .cloned()
                            .collect(),
                    )
                };
                let mut cut: Vec<Image> = images.iter().map(cut).collect();
                cut.dedup();
                Self::of(cut)
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("-"),
            Self::All => f.write_str("*"),
            Self::Some(images) => {
                for (at, image) in images.iter().enumerate() {
                    let or = if at == 0 { "" } else { " or " };
                    write!(f, "{or}{image}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(equalities: &[(&str, i128)]) -> Rows {
        let image = equalities
            .iter()
            .map(|(column, n)| (Column::from(*column), Value::Integer(*n)))
            .collect();
        Rows::of(vec![Image::new(image)])
    }

    #[test]
    fn only_a_column_in_both_can_tell_rows_apart() {
        assert!(!rows(&[("id", 1)]).meets(&rows(&[("id", 2), ("n", 1)])));
        assert!(rows(&[("id", 1)]).meets(&rows(&[("n", 2)])));
        assert!(rows(&[("id", 1)]).meets(&Rows::All));
        assert!(!Rows::None.meets(&Rows::All));
        assert_eq!(
            rows(&[("id", 1), ("n", 2)]).only(|column| column == "n"),
            rows(&[("n", 2)])
        );
        assert_eq!(rows(&[("id", 1)]).only(|_| false), Rows::All);
    }
}
