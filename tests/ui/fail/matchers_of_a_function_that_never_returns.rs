use purgatory::circuit_breaker;

#[circuit_breaker(
    "serve",
    failure_if(Err(_)),
    exclude(Error::NotFound, Error::Gone),
    ignore = is_timeout,
    fallback = panic!(),
)]
fn serve() -> ! {
    loop {}
}

fn main() {
    serve();
}
