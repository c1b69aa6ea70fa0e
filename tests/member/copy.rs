//! A copy of a member, made by `fork(2)`: it has the memory of the member, and of its threads only the one that
//! was copied.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process;

use fork::Fork;
use serde_json::Value;

use super::Member;

pub(super) struct Copy {
    actions: UnixStream,
    reports: BufReader<UnixStream>,
}

impl Copy {
    pub(super) fn act(&mut self, action: &str) -> Value {
        writeln!(self.actions, "{action}").expect("the copy has not ended");
        let mut report = String::new();
        self.reports.read_line(&mut report).expect("the copy answers");
        serde_json::from_str(&report).expect("a report is JSON")
    }
}

impl Member {
    /// Returns only in the original. The copy does what the original says, until that is gone.
    pub(super) fn fork(&mut self) {
        let (ours, theirs) = UnixStream::pair().expect("there are sockets");
        if let Fork::Parent(_) = fork::fork().expect("there is room for a copy") {
            let reports = BufReader::new(ours.try_clone().expect("a socket can be open twice"));
            self.copies.push(Copy { actions: ours, reports });
            return;
        }
        drop(ours);
        // Its siblings are for the original to talk to.
        self.copies.clear();
        self.events.lock().unwrap().clear();
        for action in BufReader::new(&theirs).lines().map_while(Result::ok) {
            let report = self.act(&action);
            if writeln!(&theirs, "{report}").is_err() {
                break;
            }
        }
        // The threads of the original, which this memory knows of, are not here to be waited for.
        process::exit(0);
    }
}
