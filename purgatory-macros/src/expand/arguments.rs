//! The arguments of the function.

use std::mem;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Error, FnArg, Pat, PatIdent, PatType, ReceiverKind, Signature};

use crate::errors::Errors;

/// What becomes of the arguments.
#[derive(Default)]
pub(super) struct Arguments {
    /// One expression for each, to hand them on.
    pub(super) list: Vec<TokenStream>,
    /// Takes apart what the signature no longer does.
    pub(super) unpacked: TokenStream,
    /// What the body can use or drop.
    variables: Vec<Variable>,
}

struct Variable {
    name: Ident,
    /// When there is one.
    cfgs: Vec<Attribute>,
}

impl Variable {
    /// What the pattern binds: nothing if it is a constant, which only its spelling tells.
    fn of(pattern: &PatIdent, cfgs: &[Attribute]) -> Option<Self> {
        let PatIdent { by_ref, mutability, ident, subpat, .. } = pattern;
        let bare = by_ref.is_none() && mutability.is_none() && subpat.is_none();
        if bare && ident.to_string().starts_with(char::is_uppercase) {
            return None;
        }
        Some(Self { name: ident.clone(), cfgs: cfgs.to_vec() })
    }
}

impl Arguments {
    /// The arguments of `sig`.
    ///
    /// Those without a name are given one if they need it: `_` to be dropped in its turn, other
    /// patterns to be handed on.
    pub(super) fn of(sig: &mut Signature, handed_on: bool, errors: &mut Errors) -> Self {
        let mut arguments = Self::default();
        for (position, argument) in sig.inputs.iter_mut().enumerate() {
            match argument {
                FnArg::Receiver(receiver) => {
                    let name = Ident::from(receiver.self_token);
                    arguments.list.push(name.to_token_stream());
                    if !matches!(receiver.kind, ReceiverKind::Reference(..)) {
                        arguments.variables.push(Variable { name, cfgs: Vec::new() });
                    }
                }
                FnArg::Typed(argument) => {
                    let cfgs: Vec<_> = cfgs(&argument.attrs).collect();
                    if let (true, [cfg, ..]) = (handed_on, &cfgs[..]) {
                        let message = "an argument that may be missing cannot be handed on to \
                                       the fallback: give an expression, `fallback = path(..)`";
                        errors.push(Error::new_spanned(cfg, message));
                    }
                    arguments.add(argument, &cfgs, position, handed_on);
                }
            }
        }
        arguments
    }

    /// Adds an argument that is there when `cfgs` hold, and the variables that it binds.
    fn add(
        &mut self,
        argument: &mut PatType,
        cfgs: &[Attribute],
        position: usize,
        handed_on: bool,
    ) {
        match &*argument.pat {
            Pat::Ident(pattern @ PatIdent { by_ref: None, subpat: None, ident, .. }) => {
                self.list.push(ident.to_token_stream());
                self.variables.extend(Variable::of(pattern, cfgs));
            }
            Pat::Wild(_) => {
                let (name, _) = rename(argument, position);
                self.list.push(name.to_token_stream());
                self.variables.push(Variable { name, cfgs: cfgs.to_vec() });
            }
            pattern => {
                bindings(pattern, cfgs, &mut self.variables);
                if handed_on {
                    let (name, pattern) = rename(argument, position);
                    let unpack = hygienic!(let #pattern = #name;);
                    self.unpacked.extend(unpack);
                    self.list.push(name.to_token_stream());
                }
            }
        }
    }

    // Output:
    //     let _ = &b;
    //     #[cfg(feature = "a")]
    //     let _ = &a;
    //
    /// Mentions the variables, in the order in which they are to be dropped.
    ///
    /// One that `body` does not use is left out, or rustc would say that its value is taken and
    /// never read. It is silent on that if the name starts with an underscore.
    pub(super) fn mentions(&self, body: &TokenStream) -> TokenStream {
        let mentioned = self.variables.iter().rev().filter(|variable| {
            let name = variable.name.to_string();
            name.starts_with('_') || is_used(&name, body)
        });
        let mentions =
            mentioned.map(|Variable { name, cfgs }| hygienic!(#(#cfgs)* let _ = &#name;));
        mentions.collect()
    }
}

/// Puts a name that nobody else can write in the place of a pattern.
fn rename(argument: &mut PatType, position: usize) -> (Ident, Pat) {
    let ident = Ident::new(&format!("__arg{position}"), Span::mixed_site());
    let name = PatIdent {
        attrs: Vec::new(),
        by_ref: None,
        mutability: None,
        ident: ident.clone(),
        subpat: None,
    };
    (ident, mem::replace(&mut argument.pat, Pat::Ident(name)))
}

/// The conditions on what has these attributes.
fn cfgs(attrs: &[Attribute]) -> impl Iterator<Item = Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned()
}

/// Adds the variables that a pattern binds, which is there when `outer` hold.
fn bindings(pattern: &Pat, outer: &[Attribute], variables: &mut Vec<Variable>) {
    let mut inside = |pattern: &Pat| bindings(pattern, outer, variables);
    match pattern {
        Pat::Ident(pattern) => {
            variables.extend(Variable::of(pattern, outer));
            if let Some((_, pattern)) = &pattern.subpat {
                bindings(pattern, outer, variables);
            }
        }
        Pat::Paren(pattern) => inside(&pattern.pat),
        Pat::Reference(pattern) => inside(&pattern.pat),
        Pat::Slice(pattern) => pattern.elems.iter().for_each(inside),
        Pat::Struct(pattern) => pattern.fields.iter().for_each(|field| {
            let cfgs: Vec<_> = outer.iter().cloned().chain(cfgs(&field.attrs)).collect();
            bindings(&field.pat, &cfgs, variables);
        }),
        Pat::Tuple(pattern) => pattern.elems.iter().for_each(inside),
        Pat::TupleStruct(pattern) => pattern.elems.iter().for_each(inside),
        _ => {}
    }
}

/// Whether `body` says `name` or `"{name}"`, other than in `.name`.
fn is_used(name: &str, body: &TokenStream) -> bool {
    let mut dots = 0;
    body.clone().into_iter().any(|token| {
        let is_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
        let is_field = dots == 1;
        dots = if is_dot { dots + 1 } else { 0 };
        match token {
            TokenTree::Group(group) => is_used(name, &group.stream()),
            TokenTree::Ident(ident) => ident == name && !is_field,
            TokenTree::Literal(literal) => literal.to_string().contains(&format!("{{{name}")),
            TokenTree::Punct(_) => false,
        }
    })
}
