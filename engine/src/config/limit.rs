//! Which bound of the configuration was reached.

use std::fmt;

/// A bound of [`Config`](crate::Config) that can be reached, by the field's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Limit {
    /// `limits.sessions`
    Sessions,
    /// `limits.sessions_per_user`
    SessionsPerUser,
    /// `limits.connections`
    Connections,
    /// `limits.connections_per_session`
    ConnectionsPerSession,
    /// `limits.connections_per_user`
    ConnectionsPerUser,
    /// `limits.subscriptions`
    Subscriptions,
    /// `limits.subscriptions_per_connection`
    SubscriptionsPerConnection,
    /// `limits.subscriptions_per_session`
    SubscriptionsPerSession,
    /// `limits.subscriptions_per_user`
    SubscriptionsPerUser,
    /// `limits.calls`
    Calls,
    /// `limits.calls_per_connection`
    CallsPerConnection,
    /// `limits.calls_per_session`
    CallsPerSession,
    /// `limits.calls_per_user`
    CallsPerUser,
    /// `limits.revocations`
    Revocations,
    /// `limits.tabs`
    Tabs,
    /// `limits.tabs_per_session`
    TabsPerSession,
    /// `limits.tabs_per_user`
    TabsPerUser,
    /// `limits.tasks_per_session`
    TasksPerSession,
    /// `limits.messages_per_second`
    MessagesPerSecond,
    /// `sizes.message_bytes`
    MessageBytes,
    /// `sizes.frame_bytes`
    FrameBytes,
    /// `sizes.tab_nodes`
    TabNodes,
    /// `sizes.tab_depth`
    TabDepth,
    /// `sizes.tab_bytes`
    TabBytes,
    /// `sizes.outbox_bytes`
    OutboxBytes,
    /// `sizes.event_bytes`
    EventBytes,
    /// `sizes.subscription_bytes`
    SubscriptionBytes,
    /// `sizes.task_bytes`
    TaskBytes,
    /// `memory.tree_bytes`
    TreeBytes,
    /// `memory.dictionary_bytes`
    DictionaryBytes,
    /// `memory.cache_bytes`
    CacheBytes,
    /// `execution.blocking_calls`
    BlockingCalls,
    /// `execution.blocking_calls_per_session`
    BlockingCallsPerSession,
    /// `execution.blocking_calls_per_user`
    BlockingCallsPerUser,
    /// `rooms.rooms`
    Rooms,
    /// `rooms.rooms_per_project`
    RoomsPerProject,
    /// `rooms.open_rooms_per_project`
    OpenRoomsPerProject,
    /// `rooms.rooms_per_user`
    RoomsPerUser,
    /// `rooms.admissions_per_user`
    AdmissionsPerUser,
    /// `rooms.participants_per_room`
    ParticipantsPerRoom,
    /// `rooms.users_per_room`
    UsersPerRoom,
    /// `rooms.message_bytes`
    RoomMessageBytes,
    /// `rooms.memory_bytes`
    RoomMemoryBytes,
    /// `rooms.memory_keys`
    RoomMemoryKeys,
    /// `rooms.all_memory_bytes`
    AllRoomMemoryBytes,
    /// `rooms.generations`
    RoomGenerations,
    /// `rooms.call_ids`
    CallIds,
    /// `runs.waiting_per_room`
    WaitingRunsPerRoom,
    /// `runs.value_bytes`
    RunValueBytes,
    /// `runs.output_bytes`
    RunOutputBytes,
    /// `runs.inputs_per_run`
    InputsPerRun,
}

impl Limit {
    /// The field's path in [`Config`](crate::Config).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "limits.sessions",
            Self::SessionsPerUser => "limits.sessions_per_user",
            Self::Connections => "limits.connections",
            Self::ConnectionsPerSession => "limits.connections_per_session",
            Self::ConnectionsPerUser => "limits.connections_per_user",
            Self::Subscriptions => "limits.subscriptions",
            Self::SubscriptionsPerConnection => "limits.subscriptions_per_connection",
            Self::SubscriptionsPerSession => "limits.subscriptions_per_session",
            Self::SubscriptionsPerUser => "limits.subscriptions_per_user",
            Self::Calls => "limits.calls",
            Self::CallsPerConnection => "limits.calls_per_connection",
            Self::CallsPerSession => "limits.calls_per_session",
            Self::CallsPerUser => "limits.calls_per_user",
            Self::Revocations => "limits.revocations",
            Self::Tabs => "limits.tabs",
            Self::TabsPerSession => "limits.tabs_per_session",
            Self::TabsPerUser => "limits.tabs_per_user",
            Self::TasksPerSession => "limits.tasks_per_session",
            Self::MessagesPerSecond => "limits.messages_per_second",
            Self::MessageBytes => "sizes.message_bytes",
            Self::FrameBytes => "sizes.frame_bytes",
            Self::TabNodes => "sizes.tab_nodes",
            Self::TabDepth => "sizes.tab_depth",
            Self::TabBytes => "sizes.tab_bytes",
            Self::OutboxBytes => "sizes.outbox_bytes",
            Self::EventBytes => "sizes.event_bytes",
            Self::SubscriptionBytes => "sizes.subscription_bytes",
            Self::TaskBytes => "sizes.task_bytes",
            Self::TreeBytes => "memory.tree_bytes",
            Self::DictionaryBytes => "memory.dictionary_bytes",
            Self::CacheBytes => "memory.cache_bytes",
            Self::BlockingCalls => "execution.blocking_calls",
            Self::BlockingCallsPerSession => "execution.blocking_calls_per_session",
            Self::BlockingCallsPerUser => "execution.blocking_calls_per_user",
            Self::Rooms => "rooms.rooms",
            Self::RoomsPerProject => "rooms.rooms_per_project",
            Self::OpenRoomsPerProject => "rooms.open_rooms_per_project",
            Self::RoomsPerUser => "rooms.rooms_per_user",
            Self::AdmissionsPerUser => "rooms.admissions_per_user",
            Self::ParticipantsPerRoom => "rooms.participants_per_room",
            Self::UsersPerRoom => "rooms.users_per_room",
            Self::RoomMessageBytes => "rooms.message_bytes",
            Self::RoomMemoryBytes => "rooms.memory_bytes",
            Self::RoomMemoryKeys => "rooms.memory_keys",
            Self::AllRoomMemoryBytes => "rooms.all_memory_bytes",
            Self::RoomGenerations => "rooms.generations",
            Self::CallIds => "rooms.call_ids",
            Self::WaitingRunsPerRoom => "runs.waiting_per_room",
            Self::RunValueBytes => "runs.value_bytes",
            Self::RunOutputBytes => "runs.output_bytes",
            Self::InputsPerRun => "runs.inputs_per_run",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
