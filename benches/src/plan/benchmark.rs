//! The benchmarks.

use serde::{Deserialize, Serialize};

/// A benchmark that gives figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Benchmark {
    Memory,
    Refresh,
    Connect,
    Resume,
    Live,
    Slow,
    Churn,
    Rooms,
    Runs,
    Storage,
    Peers,
    Cluster,
}

impl Benchmark {
    /// In the order in which results are shown.
    pub(crate) const ALL: [Self; 12] = [
        Self::Memory,
        Self::Refresh,
        Self::Connect,
        Self::Resume,
        Self::Live,
        Self::Slow,
        Self::Churn,
        Self::Rooms,
        Self::Runs,
        Self::Storage,
        Self::Peers,
        Self::Cluster,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Refresh => "refresh",
            Self::Connect => "connect",
            Self::Resume => "resume",
            Self::Live => "live",
            Self::Slow => "slow",
            Self::Churn => "churn",
            Self::Rooms => "rooms",
            Self::Runs => "runs",
            Self::Storage => "storage",
            Self::Peers => "peers",
            Self::Cluster => "cluster",
        }
    }

    /// Whether the peer can be measured under the same conditions.
    pub(crate) const fn has_peer(self) -> bool {
        matches!(self, Self::Memory | Self::Refresh)
    }

    /// What is measured, and what the baseline is.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Memory => MEMORY,
            Self::Refresh => REFRESH,
            Self::Connect => CONNECT,
            Self::Resume => RESUME,
            Self::Live => LIVE,
            Self::Slow => SLOW,
            Self::Churn => CHURN,
            Self::Rooms => ROOMS,
            Self::Runs => RUNS,
            Self::Storage => STORAGE,
            Self::Peers => PEERS,
            Self::Cluster => CLUSTER,
        }
    }
}

const MEMORY: &str = "\
Memory per session, live heap and resident, measured in steps: sessions are opened without consumers
(idle); a consumer connects to each active session; it subscribes and gets its first tree; private
data of every active session changes, after which both the current and the previous tree exist (the
figures per active session); it changes four more times; the consumers disconnect; and finally trees
and sessions expire. Frames that are recorded for verification are not counted.
Baseline: one `slop-ai` 0.2.0 server per session with a subscribed consumer in the same process,
after one private change.";

const REFRESH: &str = "\
Time per session from a change until every subscribed consumer has taken its encoded frame. This
includes evaluation, diffing and JSON encoding, but no sockets. `private`: data of every session
changes, and one refresh names its path. `shared`: data that all sessions show changes. `scoped`:
one user changes at a time, which must not depend on the number of sessions. Evaluations, commits,
diffs, encodes and frames are counted and checked. After the private changes, one consumer invokes
an action repeatedly while passes over all sessions run, to measure how long a call waits.
Baseline: one `slop-ai` 0.2.0 server per session on the same number of threads. It has no refresh
by path, so it refreshes everything.";

const CONNECT: &str = "\
All consumers connect at once. Each is a task that connects, subscribes to the whole tree and waits
for its first snapshot, in real time. Time per session is the duration of the whole storm divided by
the number of consumers; percentiles are from one consumer's connect to its snapshot.
Baseline: a source that reads nothing of the session runs at most once per pass, and so does every
source if all sessions share one view. Passes are counted and this is checked.";

const RESUME: &str = "\
All consumers are subscribed to the whole tree and lose their sockets. Then all private data
changes, 1 or 20 times with a refresh each time, and every second time together with shared data.
Then all consumers reconnect one after another and resume. The engine has not noticed every second
loss: there the new connection names the old one and replaces it. Bytes are those of all messages
after `hello` until the consumer's copy is current, on average, compared with a full snapshot.
Time per session is from connect to the last of these messages.
Baseline: every consumer must resume with exactly one patch.";

const LIVE: &str = "\
WebSocket consumers in this process, each subscribed to the whole tree of its own session, and the
server in another. Bytes per connection are what the server gained after they connected: session,
tree, subscription, socket and tasks. Then: CPU time of the idle server; a shared change, timed from
the refresh call to the last byte at each consumer, including the debounce (50 ms by default); and
private changes at a constant rate, timed the same way.
Baseline: the goals. The peer keeps no sessions.";

const SLOW: &str = "\
WebSocket consumers in this process, and the server in another. Rounds without and with stalled
readers alternate, three of each: one stalled reader for every ten consumers requests more than the
kernel buffers hold and reads nothing. In each round, shared changes and private changes at a
constant rate are timed from the refresh call to the last byte at the consumer. The p99 is the
median over the rounds; the ratios compare the consumers' p99 with and without stalled readers.
Baseline: the rounds without stalled readers.";

const CHURN: &str = "\
Consumers of new sessions connect, subscribe and disconnect in waves: a third before they
subscribe, a third before their snapshot, and a third after a snapshot and a private change. After
each wave trees and sessions expire, and all counts of the engine must be zero. A warm-up with a
fifth as many sessions, at least 4,000, gives maps and pools their size before the first heap figure
is taken.
Baseline: nothing may be left, so the ratio of live heap after to before must be 1.";

const ROOMS: &str = "\
What rooms cost, in this process and without sockets, except for `live`. `off`: sessions of `inbox-101` in an engine
without rooms, and in one with rooms of which none was created. `record`: live heap per room, its
owner's session being open. `crowd` and `pairs`: live heap per participant beyond its session and
connection, in rooms of 1,000 and of 2, after all outboxes have been drained; and in rooms of 1,000
what it takes more when the owner is subscribed, so that its row is rendered. `message`: from the
call until the message waits for every connection, per connection, and whether it waits as one copy.
`exchange`: 10,000 messages per second in real time, from when each was due until both participants
have it. `joining`: one call, the events to everybody included, while all are subscribed to the whole
tree, and the bytes of the patch that each of them receives per debounce window. `leases`: a tick in
which 1,000 leases are due, and one in which none is. Times are the fastest of many rounds. `memory`:
live heap per subscribed participant for its room, in rooms of 10 with nothing in their memory, and
what an entry and 50 entries add, shown as a window in each tree. `live`:
a message to live sockets of one room, the server being another process, from when it is sent until
each socket has it; and the same text by `nats-server` with WebSocket clients, in the same run.
Baseline: the goals. Every message must arrive once and in order, and every mirror must be exact.";

const RUNS: &str = "\
What runs cost, in this process and without sockets. `stream`: runs that stream 50 chunks per second
in real time, each in a room of its own with one watcher; from when a chunk was due until the watcher
has it, and the CPU time that it takes beyond that of the same agents when they stream nothing.
Beside them, a shared change for 100 sessions that have nothing to do with the runs, from the refresh
call until each has its patch, debounce included: with nothing else, and while the runs stream.
`stalled`: live heap per watcher, its connection included, that reads nothing while a run streams
100 MB. `idle`: live heap per run that says nothing, and per run that has ended.
Baseline: the goals. Every watcher must end with the exact text, or with one gap if it read nothing.";

const STORAGE: &str = "\
What it costs to keep what happens in rooms, in the embedded database, in this process and without
sockets. `append`: members say something in replayable rooms, each as soon as what it said before is
durable, for some seconds; then the database alone, which is given the same texts in batches of the
mean size on one thread, and one by one. `replay`: logs of 10,000 events each are read again, as
events for clients, and by the database alone; and what an event takes on the disk. `restart`: from
opening the directory with these rooms until the first connection has its first frame. `kill`: a
process in which members say something is killed ten times at a random moment; how long opening takes
then, and how many messages that it had acknowledged are missing, which may be none. `databases`, with
the feature `databases`: the same questions to other embedded databases, each alone.
Baseline: the database alone. Every log must be contiguous and hold everything that was acknowledged.";

const PEERS: &str = "\
What processes with keys of their own cost. `hello`: a challenge, and the check of the hello that
answers it, with two signatures and the look-up of the member, in this process and on one thread;
the time in which the peer signs does not count. `sockets`: peers connect to a server in another
process, in projects of 10, 64 handshakes at a time; CPU time of the server from the first connection
until all are welcomed, which includes the upgrade to a WebSocket and telling the nine others, and
what the server gained in resident memory. `crowd`: the same in one project, until every peer has
been told of everyone who came after it.
The lease of a peer is that of a session with a presence card: `rooms --case leases`.
Baseline: the goals. Everyone must be welcomed, and told of all others once.";

const CLUSTER: &str = "\
Several instances on a real `nats-server`, in real time and without sockets of consumers. `notice`: a
shared number changes on both of two instances and is refreshed on one of them; from that call until
each consumer on the other has its patch, the debounce included. `foreign`: another process publishes
100,000 notices per second that concern no session; the CPU time that the instance which receives
them takes, as a share of one core.
Baseline: the goals. Every mirror must be exact, and every notice must arrive.";
