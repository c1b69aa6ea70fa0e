//! A user of a server who may do no more than is needed.

use super::engine::Engine;
use super::server::{Server, ServerBuilder};

/// Nobody is to read this anywhere.
pub const PASSWORD: &str = "hush-hush-0x5eed";

/// What the documentation says that a user needs.
const RIGHTS: [&str; 11] = [
    "~cb:*",
    "&cb:*",
    "-@all",
    "+hello",
    "+get",
    "+set",
    "+time",
    "+publish",
    "+subscribe",
    "+evalsha",
    "+script|load",
];

impl ServerBuilder {
    /// With a user named `breakers`, who may do what the documentation says that breakers need.
    #[must_use]
    pub fn limited(self) -> Self {
        // On its command line, so that it is there after a restart too.
        let password = format!(">{PASSWORD}");
        let words = [&["--user", "breakers", "reset", "on", &password], &RIGHTS[..]].concat();
        words.chunks(2).fold(self, |server, two| server.arg(two[0], two[1]))
    }
}

impl Server {
    /// Starts one that has the [limited](ServerBuilder::limited) user.
    ///
    /// # Panics
    ///
    /// As [`Server::start`].
    pub fn limited(engine: Engine) -> Self {
        Self::builder(engine).limited().start()
    }

    /// Its [`url`](Self::url), for that user.
    pub fn limited_url(&self) -> String {
        limited_url(&self.url())
    }
}

/// The URL of such a server, or of a proxy to it, for that user.
pub fn limited_url(url: &str) -> String {
    url.replacen("://", &format!("://breakers:{PASSWORD}@"), 1)
}
