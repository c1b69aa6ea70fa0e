//! Configuring the global factory. One test only: a process can do it once.

use purgatory::{CircuitBreakerFactory, Config};

#[test]
fn the_global_factory_is_the_one_that_was_configured_first() {
    let [first, second] = [7, 8]
        .map(|threshold| CircuitBreakerFactory::builder().threshold(threshold).build().unwrap());
    // A scope uses nothing of the global factory.
    second.scope(|| purgatory::get_breaker("payments")).unwrap();

    purgatory::configure(first.clone()).unwrap();
    purgatory::configure(second.clone()).unwrap_err();

    let breaker = purgatory::get_breaker("search").unwrap();
    assert_eq!(breaker.settings().threshold, 7);
    purgatory::factory().get_breaker_with("mail", Config::new()).unwrap();
    assert_eq!(first.names(), ["mail", "search"]);
    assert_eq!(second.names(), ["payments"]);
}
