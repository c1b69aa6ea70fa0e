use purgatory::circuit_breaker;

unsafe extern "C" {
    #[circuit_breaker("getpid")]
    fn getpid() -> i32;
}

fn main() {
    let _ = getpid;
}
