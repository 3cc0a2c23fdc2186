//! Every bound: its unit, its default, and what happens when it is reached.

/// The engine's bounds. Start from [`Config::default`] and change what you need.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How long changes are gathered before one pass renders them, in ms. Default 50; 0 renders at once.
    pub debounce_ms: u64,
    /// How long after the upgrade `hello` is sent, in ms. Default 15: some consumers lose what arrives together with the
    /// 101 response (contract 1.1).
    pub hello_delay_ms: u64,
    /// How long after a snapshot its subscription gets no patch, in ms. Default 50: some consumers register their mirror
    /// only then (contract 1.5).
    pub first_patch_ms: u64,
    /// The largest message that a peer may send, in bytes. Default 65,536. A larger one closes the connection (1009).
    pub max_message_bytes: usize,
    /// How many messages a peer may send per second, on average, with a burst of as many. Default 200; `None` is no
    /// limit. What is over is answered with `busy`; who does not stop is closed (1008).
    pub inbound_rate: Option<std::num::NonZeroU32>,
    /// The largest frame that is sent, in bytes. Default 1,000,000: the strictest known peer closes at 1 MiB. A larger
    /// view is compacted until it fits, or answered with `too_large`.
    pub max_frame_bytes: usize,
    /// A patch longer than this, in bytes, is sent as a snapshot if that is at most twice as long. Default 4,096.
    pub rebase_bytes: usize,
    /// How many nodes one registered path, and one view, may hold. Default 10,000. Children over it are dropped, a view
    /// over it is compacted; either is an event.
    pub max_nodes: usize,
    /// How many levels one registered path may have. Default 64. Children below are dropped with an event.
    pub max_depth: u32,
    /// How many sessions may be open. Default 200,000. One more is refused.
    pub max_sessions: usize,
    /// How many sessions of one user may be open. Default 256. For one more, the user's own session that has been without
    /// a connection for longest is forgotten; if all have one, it is refused.
    pub max_user_sessions: usize,
    /// How many connections there may be in all. Default 50,000. One more is refused.
    pub max_connections: usize,
    /// How many connections one session may have. Default 256. One more is refused.
    pub max_session_connections: usize,
    /// How many connections one user may have. Default 1,024. One more is refused.
    pub max_user_connections: usize,
    /// How many subscriptions one connection may have. Default 64. One more is answered with `busy`.
    pub max_subscriptions: usize,
    /// How many subscriptions the connections of one session may have. Default 1,024. One more is answered with `busy`.
    pub max_session_subscriptions: usize,
    /// How many subscriptions the connections of one user may have. Default 4,096. One more is answered with `busy`.
    pub max_user_subscriptions: usize,
    /// How many subscriptions there may be in all. Default 200,000. One more is answered with `busy`.
    pub max_total_subscriptions: usize,
    /// How many calls of one connection may run at once, and queries that wait for something to be rendered or loaded.
    /// Default 64. One more is answered with `busy`.
    pub max_calls: usize,
    /// How many calls of one session may run at once. Default 256. One more is answered with `busy`. Calls of connections
    /// that ended count as long as they run.
    pub max_session_calls: usize,
    /// How many calls of one user may run at once. Default 512. One more is answered with `busy`.
    pub max_user_calls: usize,
    /// How many calls may run at once in all. Default 10,000. One more is answered with `busy`.
    pub max_total_calls: usize,
    /// How many ids of invokes one connection's memory holds, so that a frame that is sent twice does not act twice.
    /// Default 1,024, of 8 bytes each. The oldest goes first, and would run again.
    pub max_call_ids: usize,
    /// How many bytes of answers may wait for one socket. Default 4 MiB. Over it the connection is closed (1013). Patches
    /// do not count: they are made when the socket has room.
    pub max_outbox_bytes: usize,
    /// How long an authenticator may take, in ms. Default 10,000. Then the upgrade is answered with 503.
    pub authenticate_ms: u64,
    /// How long a connection may be silent before it is pinged, in ms. Default 20,000.
    pub ping_ms: u64,
    /// How long a connection may be silent or take nothing before it is dropped, in ms. Default 60,000.
    pub silence_ms: u64,
    /// How long the tree of a session without a connection is kept, in ms. Default 60,000. A return renders it again.
    pub idle_tree_ms: u64,
    /// How long a session without a connection is remembered, in ms. Default 30 minutes. A return opens it again.
    pub idle_session_ms: u64,
    /// How many trees of sessions without a connection are kept. Default 10,000. The least recently used goes first.
    pub max_idle_trees: usize,
    /// How many bytes all trees may take, what they share counted once. Default 2 GiB. Over it trees of sessions without a
    /// connection go, the least recently used first; if that is not enough, sessions that are not known yet are refused.
    pub max_tree_bytes: usize,
    /// How long a consumer that lost its socket may go on where it was, in ms. Default 60,000; 0 is never. Later it gets a
    /// snapshot.
    pub resume_ms: u64,
    /// How many subscriptions of ended connections one session remembers, so that their consumers may go on. Default 16.
    /// The oldest goes first; its consumer gets a snapshot.
    pub max_resumable: usize,
    /// How long before its expiry a session's consumers are told `session.expiring`, in ms. Default 60,000.
    pub expiry_warning_ms: u64,
    /// How many revocations are remembered. Default 100,000. The one that was asked about least recently goes first.
    pub max_revoked: usize,
    /// How many browser tabs one session may have. Default 16. One more is refused.
    pub max_tabs: usize,
    /// How many browser tabs one user may have. Default 64. One more is refused.
    pub max_user_tabs: usize,
    /// How many browser tabs there may be in all. Default 20,000. One more is refused.
    pub max_total_tabs: usize,
    /// How many nodes a tab's tree may have. Default 2,000. A tab over it is closed (1008).
    pub max_tab_nodes: usize,
    /// How many levels a tab's tree may have. Default 16. A tab over it is closed (1008).
    pub max_tab_depth: usize,
    /// How long a tab's tree may be as JSON, in bytes. Default 256 KiB. A tab over it is closed (1008).
    pub max_tab_bytes: usize,
    /// How long a tab may take to answer a call, in ms. Default 20,000. Then the caller is told `internal`.
    pub tab_call_ms: u64,
    /// How long the node of an ended task stays, in ms. Default 60,000.
    pub task_keep_ms: u64,
    /// How many tasks of one session may run at once. Default 32. One more is refused with `busy`. As many that ended are
    /// shown; the oldest goes first.
    pub max_tasks: usize,
    /// How long an async descriptor function may take, in ms. Default 10,000. Then its last good content stays, with an
    /// event.
    pub evaluate_ms: u64,
    /// How many handlers and loaders that may block run at once, in all. Default 128. Others wait. Passes have threads of
    /// their own beside them.
    pub max_blocking: usize,
    /// How many handlers and loaders that may block run at once for one session. Default 16. Others wait.
    pub max_session_blocking: usize,
    /// How many async descriptor functions of one pass run at once. Default 64.
    pub async_evaluations: usize,
    /// How many threads one pass uses. Default: as many as there are cores.
    pub pass_threads: usize,
    /// How large the dictionary of repeated texts may grow, in bytes. Default 16 MiB. Over it texts are kept where they
    /// stand.
    pub symbol_bytes: usize,
    /// How many encoded patches and snapshots of shared content are kept, in bytes. Default 4 MiB. The least recently
    /// used goes first; whatever is not used for two seconds goes anyway.
    pub cache_bytes: usize,
}

impl Config {
    /// The largest message that a peer of either kind may send, in bytes: a tab sends its whole tree.
    #[must_use]
    pub fn message_limit(&self, is_tab: bool) -> usize {
        if is_tab { self.max_message_bytes.max(self.max_tab_bytes) } else { self.max_message_bytes }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            debounce_ms: 50,
            hello_delay_ms: 15,
            first_patch_ms: 50,
            max_message_bytes: 64 << 10,
            inbound_rate: std::num::NonZeroU32::new(200),
            max_frame_bytes: 1_000_000,
            rebase_bytes: 4 << 10,
            max_nodes: 10_000,
            max_depth: 64,
            max_sessions: 200_000,
            max_user_sessions: 256,
            max_connections: 50_000,
            max_session_connections: 256,
            max_user_connections: 1_024,
            max_subscriptions: 64,
            max_session_subscriptions: 1_024,
            max_user_subscriptions: 4_096,
            max_total_subscriptions: 200_000,
            max_calls: 64,
            max_session_calls: 256,
            max_user_calls: 512,
            max_total_calls: 10_000,
            max_call_ids: 1_024,
            max_outbox_bytes: 4 << 20,
            authenticate_ms: 10_000,
            ping_ms: 20_000,
            silence_ms: 60_000,
            idle_tree_ms: 60_000,
            idle_session_ms: 30 * 60_000,
            max_idle_trees: 10_000,
            max_tree_bytes: 2 << 30,
            resume_ms: 60_000,
            max_resumable: 16,
            expiry_warning_ms: 60_000,
            max_revoked: 100_000,
            max_tabs: 16,
            max_user_tabs: 64,
            max_total_tabs: 20_000,
            max_tab_nodes: 2_000,
            max_tab_depth: 16,
            max_tab_bytes: 256 << 10,
            tab_call_ms: 20_000,
            task_keep_ms: 60_000,
            max_tasks: 32,
            evaluate_ms: 10_000,
            max_blocking: 128,
            max_session_blocking: 16,
            async_evaluations: 64,
            pass_threads: std::thread::available_parallelism().map_or(2, usize::from),
            symbol_bytes: 16 << 20,
            cache_bytes: 4 << 20,
        }
    }
}
