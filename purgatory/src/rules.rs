//! Which errors do not count as failures.

use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::outcome::Outcome;

/// Rules by error type. The first one whose type is found in an error decides about it.
///
/// Cheap to clone, and to leave empty.
#[derive(Clone, Default)]
pub(crate) struct Rules(Option<Arc<Lists>>);

#[derive(Clone, Default)]
struct Lists {
    rules: Vec<Rule>,
    views: Vec<(TypeId, View)>,
}

/// `None`: the type is not found, let the next one look.
type Rule = Arc<dyn Fn(&Found<'_>) -> Option<Outcome> + Send + Sync>;

/// Sees an error of a known type as an error, so that its sources can be searched.
type View = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;

impl Rules {
    /// Adds a rule: errors of type `E` have this outcome if `when`, and else are failures.
    pub(crate) fn add<E: Error + 'static>(
        &mut self,
        outcome: Outcome,
        when: impl Fn(&E) -> bool + Send + Sync + 'static,
    ) {
        self.lists().rules.push(Arc::new(move |found| {
            let error = found.error::<E>()?;
            Some(if when(error) { outcome } else { Outcome::Failure })
        }));
    }

    /// Lets rules look along the sources of errors of type `E`.
    pub(crate) fn search<E: Error + 'static>(&mut self) {
        let view: View = |error| error.downcast_ref::<E>().map(|error| error as _);
        self.lists().views.push((TypeId::of::<E>(), view));
    }

    fn lists(&mut self) -> &mut Lists {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// What these rules, and then those of the factory, say of an error.
    #[inline(always)]
    pub(crate) fn outcome<E: 'static>(&self, factory: &Self, error: &E) -> Outcome {
        if self.0.is_none() && factory.0.is_none() {
            return Outcome::Failure;
        }
        self.search_both(factory, error)
    }

    #[cold]
    fn search_both(&self, factory: &Self, error: &dyn Any) -> Outcome {
        let lists = || [self, factory].into_iter().flat_map(|rules| &rules.0);
        let view = lists()
            .flat_map(|lists| &lists.views)
            .find(|(id, _)| *id == error.type_id())
            .and_then(|(_, view)| view(error));
        let found = Found { error, chain: view.or_else(|| contained(error)) };
        lists()
            .flat_map(|lists| &lists.rules)
            .find_map(|rule| rule(&found))
            .unwrap_or(Outcome::Failure)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules", self.0.as_ref().map_or(0, |lists| lists.rules.len()))
    }
}

/// An error, and the chain in which to look further, if it is known how to find that.
struct Found<'a> {
    error: &'a dyn Any,
    chain: Option<&'a (dyn Error + 'static)>,
}

impl<'a> Found<'a> {
    fn error<E: Error + 'static>(&self) -> Option<&'a E> {
        self.error.downcast_ref().or_else(|| {
            std::iter::successors(self.chain, |error| next(*error))
                .find_map(|error| error.downcast_ref())
        })
    }
}

/// The next of a chain. The source of an `io::Error` is that of the error in it, so look at that first.
fn next<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => in_io(io),
        None => error.source(),
    }
}

fn in_io(error: &io::Error) -> Option<&(dyn Error + 'static)> {
    error.get_ref().map(|error| error as _)
}

/// The error in one of the usual boxes.
fn contained(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    fn unbox<'a, B: std::ops::Deref + 'static>(
        error: &'a dyn Any,
        inner: impl FnOnce(&'a B::Target) -> &'a (dyn Error + 'static),
    ) -> Option<&'a (dyn Error + 'static)> {
        error.downcast_ref::<B>().map(|boxed| inner(boxed))
    }
    let found = unbox::<Box<dyn Error + Send + Sync>>(error, |error| error)
        .or_else(|| unbox::<Box<dyn Error + Send>>(error, |error| error))
        .or_else(|| unbox::<Box<dyn Error>>(error, |error| error))
        .or_else(|| unbox::<Arc<dyn Error + Send + Sync>>(error, |error| error))
        .or_else(|| error.downcast_ref().and_then(in_io));
    #[cfg(feature = "anyhow")]
    let found = found.or_else(|| unbox::<anyhow::Error>(error, |error| error));
    found
}
