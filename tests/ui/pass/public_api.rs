//! What is exported stays exported, with its documentation and its attributes.

#![deny(warnings, missing_docs)]

pub mod api {
    //! An interface.

    use purgatory::circuit_breaker;

    /// Documented.
    #[circuit_breaker("documented")]
    #[must_use]
    pub fn documented() -> Option<u8> {
        Some(1)
    }

    /// A trait with a method that is guarded by default.
    pub trait Api {
        /// Documented.
        #[circuit_breaker("default")]
        #[allow(async_fn_in_trait)]
        async fn provided(&self) -> Option<u8> {
            Some(1)
        }
    }
}

fn main() {
    struct Service;
    impl api::Api for Service {}

    assert_eq!(api::documented(), Some(1));
    drop(api::Api::provided(&Service));
}
