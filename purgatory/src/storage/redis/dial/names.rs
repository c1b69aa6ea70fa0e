//! Look-ups of hosts.
//!
//! Nothing can end one that hangs, and it keeps a thread. So there is no second one for the same host and port as long
//! as it does: whoever asks waits for the one that is under way. The thread is not one of the runtime's, which could
//! not end before it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{LazyLock, Mutex};
use std::thread;

use tokio::sync::watch;

use super::super::address::Address;
use crate::sync::lock;

/// An error cannot be told twice, but what it says can.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

type LookUp = watch::Receiver<Option<Answer>>;

/// Of this process: one that was forked does not get the answers of the other.
static UNDER_WAY: LazyLock<Mutex<HashMap<(u32, Address), LookUp>>> = LazyLock::new(Mutex::default);

/// Where a host is. It may have several addresses.
pub(super) async fn addresses(of: &Address) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = of.host.parse::<IpAddr>() {
        return Ok(vec![(ip, of.port).into()]);
    }
    let (host, port) = (of.host.clone(), of.port);
    shared(of, move || Ok((&*host, port).to_socket_addrs()?.collect())).await
}

async fn shared(
    address: &Address,
    look_up: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    let key = (std::process::id(), address.clone());
    let mut answer = {
        let mut under_way = lock(&UNDER_WAY);
        // One that has panicked does not come to its end.
        match under_way.get(&key).filter(|answer| answer.has_changed().is_ok()) {
            Some(answer) => answer.clone(),
            None => {
                let (done, answer) = watch::channel(None);
                let of = key.clone();
                let run = move || {
                    let found = look_up().map_err(|error| (error.kind(), error.to_string()));
                    lock(&UNDER_WAY).remove(&of);
                    // If nobody waits any more, it was for nothing.
                    let _ = done.send(Some(found));
                };
                thread::Builder::new().name("purgatory look-up".to_owned()).spawn(run)?;
                under_way.insert(key, answer.clone());
                answer
            }
        }
    };
    match answer.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(Ok(found))) => Ok(found.clone()),
        Ok(Some(Err((kind, text)))) => Err(io::Error::new(*kind, text.as_str())),
        Ok(None) | Err(_) => Err(io::ErrorKind::Interrupted.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn address(host: &str) -> Address {
        Address { host: host.into(), port: 6379 }
    }

    fn found() -> Vec<SocketAddr> {
        vec![([127, 0, 0, 1], 6379).into()]
    }

    /// A look-up that hangs until it is let go.
    fn hanging(
        begun: &Arc<AtomicUsize>,
        go: Receiver<()>,
    ) -> impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static {
        let begun = Arc::clone(begun);
        move || {
            begun.fetch_add(1, Ordering::Relaxed);
            let _ = go.recv();
            Ok(found())
        }
    }

    #[tokio::test]
    async fn while_a_look_up_hangs_no_other_is_begun_for_its_host() {
        let (slow, begun) = (address("slow.test"), Arc::default());
        let mut hanging_ones = Vec::new();
        for _ in 0..5 {
            let (go, wait) = channel();
            let attempt = shared(&slow, hanging(&begun, wait));
            timeout(Duration::from_millis(50), attempt).await.unwrap_err();
            hanging_ones.push(go);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        // Others do not wait for it.
        assert_eq!(shared(&address("other.test"), || Ok(found())).await.unwrap(), found());
        let never = || -> io::Result<_> { panic!("there is one under way") };
        let (waiting, ()) = tokio::join!(shared(&slow, never), async { hanging_ones.clear() });
        assert_eq!(waiting.unwrap(), found());
        // It is over: what it said is not kept.
        assert_eq!(shared(&slow, || Ok(Vec::new())).await.unwrap(), []);
    }

    #[test]
    fn a_look_up_that_hangs_keeps_no_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (address, (go, wait)) = (address("hangs.test"), channel());
        let hanging = hanging(&Arc::default(), wait);
        let limit = Duration::from_millis(50);
        runtime.block_on(async { timeout(limit, shared(&address, hanging)).await.unwrap_err() });
        let (ended, is_ended) = channel();
        thread::spawn(move || {
            drop(runtime);
            ended.send(()).unwrap();
        });
        is_ended.recv_timeout(Duration::from_secs(5)).unwrap();
        drop(go);
    }

    #[tokio::test]
    async fn that_there_is_no_such_host_is_told() {
        let none = || Err(io::Error::new(io::ErrorKind::NotFound, "no such host"));
        let error = shared(&address("none.test"), none).await.unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (io::ErrorKind::NotFound, "no such host"));
    }
}
