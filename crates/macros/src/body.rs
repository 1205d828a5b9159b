//! The function, turned around: the test is a function without arguments that hands the body over, to be run for one
//! schedule after the other.
//!
//! `lab.always(…)` and `lab.state(…)` that are statements of the body itself become variables of it, which its end,
//! where the actors run, is given references of: so their closures may borrow from the body. Anywhere else they are
//! calls of the lab's own methods, and their closures must own what they use.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprMethodCall, FnArg, Ident, ItemFn, Pat, Result, ReturnType, Stmt};

use crate::options::Given;

pub(crate) fn turn(options: &Given, function: &ItemFn) -> Result<TokenStream> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        let message = "a deadheat test is async: `async fn name(lab: Lab)`";
        return Err(Error::new(signature.fn_token.span(), message));
    }
    if let ReturnType::Type(_, returned) = &signature.output {
        let message = "a deadheat test returns nothing: say what must hold with `assert!`, `lab.always` and `lab.state`";
        return Err(Error::new(returned.span(), message));
    }
    let lab = lab(function)?;
    let FnArg::Typed(argument) = &signature.inputs[0] else {
        return Err(Error::new(
            signature.inputs.span(),
            "`lab: Lab` is expected",
        ));
    };
    let (statements, checks) = statements(function.block.stmts.clone(), &lab);
    let (attributes, visibility, name) = (&function.attrs, &function.vis, &signature.ident);
    let given = &options.0;
    let kept = Ident::new("__deadheat_lab", Span::mixed_site());
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #visibility fn #name() {
            let path = ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name));
            let options = ::deadheat::task::Options {
                // As `cargo test` names it: without the crate.
                name: path.split_once("::").map_or(path, |(_, name)| name).to_owned(),
                #(#given,)*
                ..::core::default::Default::default()
            };
            ::deadheat::task::made::test(&options, |#argument| async move {
                let #kept = ::core::clone::Clone::clone(&#lab);
                #(#statements)*
                ::deadheat::task::made::end(&#kept, #checks).await;
            });
        }
    })
}

/// The name of the one argument.
fn lab(function: &ItemFn) -> Result<Ident> {
    let inputs = &function.sig.inputs;
    if let Some(FnArg::Typed(argument)) = inputs.first()
        && inputs.len() == 1
        && let Pat::Ident(pattern) = &*argument.pat
    {
        return Ok(pattern.ident.clone());
    }
    let message = "a deadheat test takes the lab and nothing else: `async fn name(lab: Lab)`";
    Err(Error::new(function.sig.paren_token.span.join(), message))
}

/// The body's statements with what must hold as variables, and the expression that is made of these.
fn statements(statements: Vec<Stmt>, lab: &Ident) -> (Vec<TokenStream>, TokenStream) {
    let mut always = Vec::new();
    let mut state = Vec::new();
    let mut turned = Vec::new();
    for (number, statement) in statements.into_iter().enumerate() {
        let Some((call, what)) = said_to(&statement, lab) else {
            let ended = match &statement {
                Stmt::Expr(_, None) => quote!(#statement;),
                _ => quote!(#statement),
            };
            turned.push(ended);
            continue;
        };
        let variable = Ident::new(&format!("__deadheat_{number}"), Span::mixed_site());
        let span = call.method.span();
        turned.push(quote!(let #variable = #what;));
        if call.method == "always" {
            let at = quote_spanned!(span => ::core::concat!(::core::file!(), ":", ::core::line!()));
            always.push(quote!((#at, &#variable as &dyn ::core::ops::Fn() -> bool)));
        } else {
            let shown = format_ident!("{variable}_shown", span = Span::mixed_site());
            turned.push(quote!(let #shown = || ::deadheat::task::made::shown(&#variable());));
            state.push(quote!(&#shown as &dyn ::core::ops::Fn() -> ::std::string::String));
        }
    }
    let checks = quote! {
        ::deadheat::task::made::Checks { always: &[#(#always),*], state: &[#(#state),*] }
    };
    (turned, checks)
}

/// The call and its argument if the statement is `lab.always(…)` or `lab.state(…)`.
fn said_to<'s>(statement: &'s Stmt, lab: &Ident) -> Option<(&'s ExprMethodCall, &'s Expr)> {
    let Stmt::Expr(Expr::MethodCall(call), _) = statement else {
        return None;
    };
    let Expr::Path(receiver) = &*call.receiver else {
        return None;
    };
    let is_check = call.method == "always" || call.method == "state";
    let what = call.args.first().filter(|_| call.args.len() == 1)?;
    (is_check && receiver.path.is_ident(lab)).then_some((call, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(function: &str) -> String {
        let function = syn::parse_str(function).expect("a function");
        match turn(&Given(Vec::new()), &function) {
            Ok(turned) => panic!("it was turned into {turned}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_function_is_no_test() {
        assert!(error("fn a(lab: Lab) {}").starts_with("a deadheat test is async"));
        assert!(error("async fn a() {}").starts_with("a deadheat test takes the lab"));
        assert!(error("async fn a(lab: Lab, other: u8) {}").contains("and nothing else"));
        assert!(
            error("async fn a(lab: Lab) -> u8 { 1 }")
                .starts_with("a deadheat test returns nothing")
        );
    }

    #[test]
    fn only_statements_of_the_body_itself_are_given_references_of() {
        let function = "async fn a(lab: Lab) { lab.always(|| true); { lab.always(|| false); } other.state(|| 1); }";
        let function = syn::parse_str(function).expect("a function");
        let turned = turn(&Given(Vec::new()), &function)
            .expect("it is right")
            .to_string();
        assert!(turned.contains("let __deadheat_0 = | | true"), "{turned}");
        assert!(turned.contains("lab . always (| | false)"), "{turned}");
        assert!(turned.contains("other . state (| | 1)"), "{turned}");
    }
}
