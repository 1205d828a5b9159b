//! What stands in the brackets of the attribute.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Lit, LitBool, Meta, Result, Token};

/// Assignments to fields of the options.
pub(crate) struct Given(pub Vec<TokenStream>);

impl Parse for Given {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let metas = Punctuated::<Meta, Token![,]>::parse_terminated(input)?;
        let mut seen: Vec<String> = Vec::new();
        let mut given = Vec::new();
        for meta in &metas {
            let Some(name) = meta.path().get_ident().map(ToString::to_string) else {
                return Err(unknown(meta));
            };
            if seen.contains(&name) {
                return Err(Error::new(meta.span(), format!("`{name}` is said twice")));
            }
            given.push(one(meta, &name)?);
            seen.push(name);
        }
        let says = |name: &str| seen.iter().any(|one| one == name);
        for without in ["preemptions", "exhaust"] {
            if says("random") && says(without) {
                let message = format!("random schedules know no `{without}`");
                return Err(Error::new(input.span(), message));
            }
        }
        if says("seed") && !says("random") {
            let message = "`seed` says where random choices begin: `random, seed = …`";
            return Err(Error::new(input.span(), message));
        }
        Ok(Self(given))
    }
}

fn one(meta: &Meta, name: &str) -> Result<TokenStream> {
    match name {
        "runs" => number(meta).map(|value| quote!(runs: #value)),
        "preemptions" => {
            number(meta).map(|value| quote!(preemptions: ::core::option::Option::Some(#value)))
        }
        "faults" => number(meta).map(|value| quote!(faults: #value)),
        "seed" => number(meta).map(|value| quote!(seed: #value)),
        "random" => flag(meta).map(|value| quote!(random: #value)),
        "exhaust" => flag(meta).map(|value| quote!(exhaust: #value)),
        "serial" => flag(meta).map(|value| quote!(serial: #value)),
        _ => Err(unknown(meta)),
    }
}

fn unknown(meta: &Meta) -> Error {
    Error::new(
        meta.span(),
        "the options are `runs = N`, `preemptions = N`, `random`, `seed = N`, `faults = N`, `exhaust` and `serial = false`",
    )
}

fn number(meta: &Meta) -> Result<&Expr> {
    match &meta.require_name_value()?.value {
        value @ Expr::Lit(ExprLit {
            lit: Lit::Int(_), ..
        }) => Ok(value),
        other => Err(Error::new(other.span(), "a number is expected")),
    }
}

/// A word alone, or one that is given a truth value.
fn flag(meta: &Meta) -> Result<LitBool> {
    match meta {
        Meta::Path(path) => Ok(LitBool::new(true, path.span())),
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Bool(value),
                ..
            }) => Ok(value.clone()),
            other => Err(Error::new(other.span(), "`true` or `false` is expected")),
        },
        Meta::List(list) => Err(Error::new(list.span(), "`true` or `false` is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match syn::parse_str::<Given>(text) {
            Ok(_) => panic!("{text} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn options_become_fields() {
        let Ok(Given(fields)) =
            syn::parse_str::<Given>("runs = 5, random, seed = 7, serial = false")
        else {
            panic!("they are right");
        };
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        assert_eq!(
            fields,
            ["runs : 5", "random : true", "seed : 7", "serial : false"]
        );
        assert!(syn::parse_str::<Given>("").is_ok_and(|given| given.0.is_empty()));
    }

    #[test]
    fn an_option_is_wrong() {
        assert!(error("rums = 5").starts_with("the options are `runs = N`"));
        assert_eq!(error("runs = \"5\""), "a number is expected");
        assert_eq!(error("serial = 0"), "`true` or `false` is expected");
        assert_eq!(error("random, random"), "`random` is said twice");
        assert_eq!(
            error("random, exhaust"),
            "random schedules know no `exhaust`"
        );
        assert!(error("seed = 1").starts_with("`seed` says where random choices begin"));
    }
}
