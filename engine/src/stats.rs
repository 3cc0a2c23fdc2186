//! Point-in-time counters.

use std::collections::BTreeMap;

use serde::Serialize;

/// Point-in-time counters. They are kept up to date, and taking them waits for no connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Sessions that are remembered.
    pub sessions: usize,
    /// Sessions that have a tree.
    pub trees: usize,
    /// Open connections of consumers and tabs.
    pub connections: usize,
    /// Subscriptions of all connections.
    pub subscriptions: usize,
    /// Mounted tabs.
    pub tabs: usize,
    /// Bytes of all rendered fragments, shared ones once.
    pub tree_bytes: usize,
    /// Bytes of the dictionary of repeated texts.
    pub dictionary_bytes: usize,
    /// Bytes of ids, paths and filters that subscriptions keep, and the resume points of those that lost their sockets.
    pub subscription_bytes: usize,
    /// Bytes of replies and events that wait for their sockets, and of what was loaded for queries that wait. What was
    /// loaded is part of `tree_bytes` as well.
    pub outbox_bytes: usize,
    /// Those of them that are events, of rooms and of the application.
    pub event_bytes: usize,
    /// Runs of each descriptor function since the start, by path.
    pub evaluations: BTreeMap<String, u64>,
    /// Runs of functions that are registered for one session alone, at paths that are registered for no other.
    pub own_evaluations: u64,
    /// Runs that were avoided because a result could be shared.
    pub shared_evaluations: u64,
    /// Descriptor functions that run on threads now.
    pub running_evaluations: usize,
    /// Sessions that wait to be rendered: how far rendering is behind. One that is meant by several requests may be counted
    /// for each.
    pub waiting_sessions: usize,
    /// Trees that changed since the start.
    pub commits: u64,
    /// Comparisons of two fragments since the start.
    pub diffs: u64,
    /// Fragments written as JSON since the start.
    pub encodes: u64,
    /// How often the nodes of a view were put into the order in which budgets collapse them, since the start.
    pub collapse_orders: u64,
    /// Instances that are there, this one included.
    pub instances: usize,
    /// Whether there is a connection to the other instances; always without others.
    pub bus_connected: bool,
    /// Notices of other instances that were received since the start.
    pub notices_in: usize,
    /// Notices that were given to other instances since the start, before some of them became one.
    pub notices_out: usize,
    /// How often what other instances may have changed was looked at again, since something was or may have been missed.
    pub resyncs: usize,
}
