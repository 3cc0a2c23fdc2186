//! Which bound of the configuration was reached.

use std::fmt;

/// Each bound with the field's path, so that none is without one.
macro_rules! limits {
    ($($limit:ident: $field:literal),* $(,)?) => {
        /// A bound of [`Config`](crate::Config) that can be reached, by the field's path.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Limit {
            $(#[doc = concat!("`", $field, "`")] $limit,)*
        }

        impl Limit {
            /// The field's path in [`Config`](crate::Config).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$limit => $field,)*
                }
            }
        }
    };
}

limits! {
    Sessions: "limits.sessions",
    SessionsPerUser: "limits.sessions_per_user",
    Connections: "limits.connections",
    ConnectionsPerSession: "limits.connections_per_session",
    ConnectionsPerUser: "limits.connections_per_user",
    Subscriptions: "limits.subscriptions",
    SubscriptionsPerConnection: "limits.subscriptions_per_connection",
    SubscriptionsPerSession: "limits.subscriptions_per_session",
    SubscriptionsPerUser: "limits.subscriptions_per_user",
    Calls: "limits.calls",
    CallsPerConnection: "limits.calls_per_connection",
    CallsPerSession: "limits.calls_per_session",
    CallsPerUser: "limits.calls_per_user",
    Revocations: "limits.revocations",
    Tabs: "limits.tabs",
    TabsPerSession: "limits.tabs_per_session",
    TabsPerUser: "limits.tabs_per_user",
    TasksPerSession: "limits.tasks_per_session",
    MessagesPerSecond: "limits.messages_per_second",
    MessageBytes: "sizes.message_bytes",
    FrameBytes: "sizes.frame_bytes",
    TabNodes: "sizes.tab_nodes",
    TabDepth: "sizes.tab_depth",
    TabBytes: "sizes.tab_bytes",
    OutboxBytes: "sizes.outbox_bytes",
    EventBytes: "sizes.event_bytes",
    SubscriptionBytes: "sizes.subscription_bytes",
    TaskBytes: "sizes.task_bytes",
    TreeBytes: "memory.tree_bytes",
    DictionaryBytes: "memory.dictionary_bytes",
    CacheBytes: "memory.cache_bytes",
    BlockingCalls: "execution.blocking_calls",
    BlockingCallsPerSession: "execution.blocking_calls_per_session",
    BlockingCallsPerUser: "execution.blocking_calls_per_user",
    Rooms: "rooms.rooms",
    RoomsPerProject: "rooms.rooms_per_project",
    OpenRoomsPerProject: "rooms.open_rooms_per_project",
    RoomsPerUser: "rooms.rooms_per_user",
    AdmissionsPerUser: "rooms.admissions_per_user",
    ParticipantsPerRoom: "rooms.participants_per_room",
    UsersPerRoom: "rooms.users_per_room",
    RoomMessageBytes: "rooms.message_bytes",
    RoomMemoryBytes: "rooms.memory_bytes",
    RoomMemoryKeys: "rooms.memory_keys",
    AllRoomMemoryBytes: "rooms.all_memory_bytes",
    RoomGenerations: "rooms.generations",
    CallIds: "rooms.call_ids",
    StoredBytes: "rooms.stored_bytes",
    UnwrittenBytes: "rooms.unwritten_bytes",
    WaitingRunsPerRoom: "runs.waiting_per_room",
    RunValueBytes: "runs.value_bytes",
    RunOutputBytes: "runs.output_bytes",
    InputsPerRun: "runs.inputs_per_run",
    AgentsPerLink: "runs.agents_per_link",
    RunsPerLink: "runs.runs_per_link",
    LinkMessageBytes: "runs.link_message_bytes",
    Instances: "cluster.instances",
    ClusterRequests: "cluster.requests",
    CommitWaits: "cluster.commit_waits",
    Decisions: "cluster.decisions",
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
