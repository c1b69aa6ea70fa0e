//! Connections: how they come about, and that nothing is left of them.

mod names;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::address::{Address, Login};
use super::failure::failure;
#[cfg(feature = "redis-tls")]
use super::tls::Tls;
use crate::storage::StorageError;

/// How to connect.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    /// How long an answer may take.
    pub(super) operation_timeout: Duration,
    #[cfg(feature = "redis-tls")]
    pub(super) tls: Option<Tls>,
}

/// How long it may take to connect, all together, if an operation may not take longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Who is told what arrives without having been asked for.
pub(super) type Push = Arc<dyn AsyncPushSender>;

impl Dialer {
    /// A connection that knows who speaks. It lives on the runtime that this is polled on.
    pub(super) async fn open(
        &self,
        address: &Address,
        login: &Login,
        database: u32,
        push: Option<Push>,
    ) -> Result<Link, StorageError> {
        let limit = CONNECT_TIMEOUT.max(self.operation_timeout);
        let opened = within(limit, async {
            let stream =
                self.stream(address, limit).await.map_err(|error| failure(&error.into()))?;
            #[cfg(feature = "redis-tls")]
            if let Some(tls) = &self.tls {
                let stream = tls.connect(&address.host, stream).await;
                let stream =
                    stream.map_err(|error| StorageError::Unavailable(error.to_string()))?;
                return self.greet(stream, login, database, push).await;
            }
            self.greet(stream, login, database, push).await
        });
        opened.await.map_err(|error| error.without(login.password.as_ref()).of(address))
    }

    /// A host may have several addresses, of which not all need to answer.
    async fn stream(&self, address: &Address, limit: Duration) -> std::io::Result<TcpStream> {
        let began = Instant::now();
        let addresses = names::addresses(address).await?;
        let mut last = std::io::ErrorKind::NotFound.into();
        for (tried, address) in addresses.iter().enumerate() {
            let left = limit.saturating_sub(began.elapsed());
            let share = share(left, addresses.len() - tried);
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    async fn greet(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        login: &Login,
        database: u32,
        push: Option<Push>,
    ) -> Result<Link, StorageError> {
        // A user who may do just what is needed may not tell the name of its client.
        let mut info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(database.into())
            .set_skip_set_lib_name();
        if let Some(password) = &login.password {
            info = info.set_password(&password.0);
        }
        if let Some(user) = &login.user {
            info = info.set_username(user);
        }
        // The deadline is the caller's, and for all that an operation takes.
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None);
        if let Some(push) = push {
            config = config.set_push_sender(push);
        }
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = connected.map_err(|error| failure(&error))?;
        Ok(Link { connection, task: tokio::spawn(driver) })
    }
}

/// How much of the time that is left the next address may take, of so many that are left. One share is for what
/// comes after it.
fn share(left: Duration, addresses: usize) -> Duration {
    if addresses > 1 { left / (addresses as u32 + 1) } else { left }
}

/// A connection. When it is dropped, the socket is closed and whoever waits for an answer has an error,
/// however many have a handle to it.
pub(super) struct Link {
    connection: MultiplexedConnection,
    task: JoinHandle<()>,
}

impl Link {
    pub(super) fn handle(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Whether it has ended, as its server may end it at any time.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn is_closed(&self) -> bool {
        self.task.is_finished()
    }

    /// As if it were dropped.
    pub(super) fn close(&self) {
        self.task.abort();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What comes of it, if it comes in time.
pub(super) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let late = || StorageError::Unavailable(format!("no answer within {limit:?}"));
    timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_do_not_answer_leave_time_for_the_last_one() {
        let limit = Duration::from_secs(1);
        for addresses in 1..=8 {
            let mut left = limit;
            for others in (2..=addresses).rev() {
                left = left.saturating_sub(share(left, others));
            }
            // To connect and to greet.
            assert!(left >= limit * 2 / (addresses as u32 + 1), "{left:?} of {addresses}");
            assert_eq!(share(left, 1), left, "of {addresses}");
        }
    }
}
