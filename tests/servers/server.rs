//! One server.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{
    Client, Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo,
    RedisResult, Value,
};

use super::certificate::Certificate;
use super::engine::Engine;
use super::folder::Folder;
use super::port::Port;
use super::process::Process;
use super::wait::holds_within;

/// A server with a process, a port and a folder of its own.
///
/// It begins empty and keeps nothing on disk unless told to. Dropped, it ends, stopped or not.
///
/// ```no_run
/// use purgatory_tests::servers::{Engine, Server};
///
/// let server = Server::start(Engine::Redis);
/// server.command(&["SET", "key", "1"]);
/// assert_eq!(server.ask::<i64>(&["INCR", "key"]), 2);
/// ```
#[derive(Debug)]
pub struct Server {
    // Before its folder and its ports: they are given back when it has ended.
    process: Mutex<Option<Process>>,
    program: PathBuf,
    args: Vec<String>,
    port: Port,
    tls: Option<Tls>,
    folder: Folder,
}

/// What a server has besides, if it speaks TLS.
#[derive(Debug)]
struct Tls {
    port: Port,
    certificate: Certificate,
}

impl Server {
    /// Starts one, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If there is none (see [`Engine::find`]), or it does not answer. The message has its log.
    pub fn start(engine: Engine) -> Self {
        Self::builder(engine).start()
    }

    /// Starts one that speaks TLS, with a certificate for `localhost` by an authority of its own.
    ///
    /// # Panics
    ///
    /// As [`Server::start`], and if there is no `openssl` to make the certificate.
    pub fn tls(engine: Engine) -> Self {
        let mut builder = Self::builder(engine);
        builder.tls = true;
        builder.start()
    }

    /// One with other settings.
    pub fn builder(engine: Engine) -> ServerBuilder {
        ServerBuilder { engine, args: Vec::new(), config: None, tls: false }
    }

    /// The port of its [`url`](Self::url).
    pub fn port(&self) -> u16 {
        self.tls.as_ref().map_or(&self.port, |tls| &tls.port).number()
    }

    /// Where it is: `redis://127.0.0.1:port/`, or `rediss://localhost:port/` if it speaks TLS.
    pub fn url(&self) -> String {
        match &self.tls {
            None => format!("redis://127.0.0.1:{}/", self.port()),
            Some(_) => format!("rediss://localhost:{}/", self.port()),
        }
    }

    /// The same, with a user and a password. They are not escaped.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url().replacen("://", &format!("://{user}:{password}@"), 1)
    }

    /// The certificate of the authority that signed its own.
    ///
    /// # Panics
    ///
    /// If it does not speak TLS.
    pub fn ca_path(&self) -> &Path {
        &self.tls.as_ref().expect("a server without TLS has no authority").certificate.ca
    }

    /// The id of its process.
    ///
    /// # Panics
    ///
    /// If it was killed.
    pub fn pid(&self) -> u32 {
        self.process().as_ref().expect(KILLED).pid()
    }

    /// Sends a command, over a connection of its own, and gives the answer.
    ///
    /// # Panics
    ///
    /// If the answer is an error, or there is none in two seconds.
    #[track_caller]
    pub fn command(&self, command: &[&str]) -> Value {
        self.ask(command)
    }

    /// The same, with the answer as what it is wanted as.
    ///
    /// # Panics
    ///
    /// As [`Server::command`], and if the answer is something else.
    #[track_caller]
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        match self.try_ask(command) {
            Ok(answer) => answer,
            Err(error) => panic!("{command:?} to port {}: {error}", self.port()),
        }
    }

    /// The same, for commands that may fail.
    ///
    /// # Errors
    ///
    /// What the server answers, or why there is no answer in two seconds.
    pub fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        redis::cmd(command[0]).arg(&command[1..]).query(&mut self.connect()?)
    }

    /// A new connection, without TLS in any case. It sends only what it is told to, and waits for an answer
    /// for two seconds.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn connect(&self) -> RedisResult<Connection> {
        // Nothing is to be in the statistics but what the test does itself.
        let quiet = RedisConnectionInfo::default().set_skip_set_lib_name();
        let address = ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.port.number());
        let client = Client::open(address.into_connection_info()?.set_redis_settings(quiet))?;
        let connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// Stops it (`SIGSTOP`): its port takes connections, and nobody answers.
    ///
    /// # Panics
    ///
    /// If it was killed.
    pub fn stop(&self) {
        self.process().as_ref().expect(KILLED).stop();
    }

    /// Lets it go on where it was stopped (`SIGCONT`).
    ///
    /// # Panics
    ///
    /// If it was killed.
    pub fn resume(&self) {
        self.process().as_ref().expect(KILLED).resume();
    }

    /// Kills it (`SIGKILL`), also when it is stopped. Afterwards its port refuses connections. Nothing
    /// happens if it was killed before.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Kills it if it runs, and starts it again at the same port, with the same settings and with what is in
    /// its folder, which by default is nothing.
    ///
    /// # Panics
    ///
    /// As [`Server::start`].
    pub fn restart(&self) {
        let mut process = self.process();
        *process = None;
        let folder = self.folder.path();
        let started = process.insert(Process::start(&self.program, &self.args, folder));
        let answers = || self.try_ask::<()>(&["PING"]).is_ok();
        holds_within(START, || answers() || !started.runs());
        assert!(
            answers(),
            "{} does not answer:\n{}",
            self.program.display(),
            fs::read_to_string(folder.join("log")).unwrap_or_default()
        );
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings of a server before it starts.
#[derive(Debug)]
pub struct ServerBuilder {
    engine: Engine,
    args: Vec<String>,
    config: Option<String>,
    tls: bool,
}

impl ServerBuilder {
    /// A setting as on the command line of the server: `.arg("--maxmemory", "1mb")`. The last one of a name
    /// holds.
    #[must_use]
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// A Sentinel with this configuration, a file that it writes to.
    pub(super) fn sentinel(mut self, config: String) -> Self {
        self.config = Some(config);
        self
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`Server::start`].
    pub fn start(self) -> Server {
        let (port, folder) = (Port::new(), Folder::new());
        let tls = self
            .tls
            .then(|| Tls { port: Port::new(), certificate: Certificate::new(folder.path()) });

        let mut args = Vec::new();
        if let Some(config) = self.config {
            let file = folder.path().join("sentinel.conf");
            fs::write(&file, config).expect("the folder can be written");
            args.extend([file.display().to_string(), "--sentinel".to_owned()]);
        }
        let mut set = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        set("--port", &port.number().to_string());
        set("--dir", &folder.path().display().to_string());
        for (name, value) in ALWAYS {
            set(name, value);
        }
        if let Some(Tls { port, certificate }) = &tls {
            set("--tls-port", &port.number().to_string());
            set("--tls-cert-file", &certificate.certificate.display().to_string());
            set("--tls-key-file", &certificate.key.display().to_string());
            set("--tls-ca-cert-file", &certificate.ca.display().to_string());
            set("--tls-auth-clients", "no");
        }
        args.extend(self.args);

        let (process, program) = (Mutex::new(None), self.engine.find());
        let server = Server { process, program, args, port, tls, folder };
        server.restart();
        server
    }
}

/// The settings of every server.
const ALWAYS: [(&str, &str); 5] = [
    // Nobody from outside, and both addresses that localhost may mean.
    ("--bind", "127.0.0.1 -::1"),
    ("--save", ""),
    ("--appendonly", "no"),
    // For DEBUG SLEEP.
    ("--enable-debug-command", "local"),
    // A replica is not to wait five seconds for others that might join.
    ("--repl-diskless-sync-delay", "0"),
];

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

const KILLED: &str = "the server was killed";
