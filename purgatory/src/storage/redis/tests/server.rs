//! A server of its own for a test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue};

/// A program as it is installed, or unpacked from the Debian package of its name, which takes no root.
pub(super) fn program(name: &str) -> PathBuf {
    static UNPACKING: Mutex<()> = Mutex::new(());
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join(name).is_file()) {
        return name.into();
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let unpacked = project.join("target/servers");
    let _one_at_a_time = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let script = project.join("tests/servers/unpack.sh");
    let done = Command::new("sh").arg(script).arg(&unpacked).arg(name).output().unwrap();
    let tried = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "install {name}, as it cannot be unpacked:\n{tried}");
    unpacked.join(name).join("bin").join(name)
}

/// A server on a port that was free, with nothing but what the test asks for. It is gone when dropped.
pub(super) struct Server {
    pub(super) port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    child: Child,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(arguments: &[&str]) -> Self {
        Self::on(free_port(), arguments)
    }

    /// With variables of the environment.
    pub(super) fn within(environment: &[(&str, &str)]) -> Self {
        Self::begin(free_port(), &[], environment)
    }

    pub(super) fn on(port: u16, arguments: &[&str]) -> Self {
        Self::begin(port, arguments, &[])
    }

    fn begin(port: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("purgatory-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = run(port, &folder, &arguments, environment);
        let server = Self { port, folder, arguments, child };
        server.wait_for("PONG");
        server
    }

    /// Until a PING is answered so, or with an error that begins so.
    pub(super) fn wait_for(&self, answer: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let last = match self.try_ask::<String>(&["PING"]) {
                Ok(answer) => answer,
                Err(error) => error.to_string(),
            };
            if last.contains(answer) {
                return;
            }
            assert!(Instant::now() < deadline, "the server on {} says {last:?}", self.port);
            std::thread::sleep(Duration::from_millis(5)); // As often as it is worth to look.
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn connection(&self) -> redis::RedisResult<Connection> {
        let limit = Duration::from_secs(5);
        let connection = redis::Client::open(self.url())?.get_connection_with_timeout(limit)?;
        connection.set_read_timeout(Some(limit))?;
        Ok(connection)
    }

    fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        ask(&mut self.connection()?, command)
    }

    /// What the server answers to the default user.
    pub(super) fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let words: Vec<_> = command.split(' ').collect();
        self.try_ask(&words).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub(super) fn set(&self, key: &str, value: &str) {
        self.try_ask::<()>(&["SET", key, value]).unwrap();
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.try_ask(&["GET", key]).unwrap()
    }

    /// `STOP`, `CONT` or `KILL`. One that is gone does not mind.
    pub(super) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success()
        );
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same again, after it was killed.
    pub(super) fn restart(&mut self) {
        self.restart_with(&[], "PONG");
    }

    pub(super) fn restart_with(&mut self, more: &[&str], answer: &str) {
        self.arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        self.child = run(self.port, &self.folder, &self.arguments, &[]);
        self.wait_for(answer);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn ask<T: FromRedisValue>(
    connection: &mut Connection,
    command: &[&str],
) -> redis::RedisResult<T> {
    redis::cmd(command[0]).arg(&command[1..]).query(connection)
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(port: u16, folder: &Path, arguments: &[String], environment: &[(&str, &str)]) -> Child {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new(program("redis-server"));
    // A Sentinel wants its file first.
    if let Some(file) = arguments.first().filter(|argument| argument.ends_with(".conf")) {
        command.arg(file).args(&arguments[1..]);
    } else {
        command.args(["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]);
        command.args(arguments);
    }
    command.envs(environment.iter().copied());
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder);
    let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
    child.expect("redis-server must be installed for this test")
}
