//! A hostile peer on a connection of its own.

use grove_engine::{Connection, Engine, Frame, Session};
use serde_json::{Value, json};

/// A peer that comes back whenever it is closed.
#[derive(Debug)]
pub struct Peer {
    engine: Engine,
    session: Session,
    is_tab: bool,
    /// Absent if it is refused.
    connection: Option<Connection>,
    /// The tab's tree, which it provides whenever it comes back.
    tree: Option<Value>,
}

impl Peer {
    pub(crate) fn consumer(engine: &Engine, session: Session) -> Self {
        Self::dial(engine, session, false)
    }

    pub(crate) fn tab(engine: &Engine, session: Session) -> Self {
        Self::dial(engine, session, true)
    }

    fn dial(engine: &Engine, session: Session, is_tab: bool) -> Self {
        let mut peer = Self { engine: engine.clone(), session, is_tab, connection: None, tree: None };
        peer.reconnect();
        peer
    }

    /// Drops its connection and makes another.
    pub fn reconnect(&mut self) {
        self.connection = None;
        let connect = if self.is_tab { Engine::connect_tab } else { Engine::connect };
        self.connection = connect(&self.engine, &self.session).ok();
        if self.is_tab {
            self.send(&json!({"type": "hello", "provider": {"id": "ui"}}));
            self.provide_again();
        }
    }

    /// Sends any text, whether it makes sense or not.
    pub fn send_text(&mut self, text: &str) {
        if let Some(connection) = &self.connection {
            connection.receive(text);
        }
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string());
    }

    /// As a tab, provides a tree, now and whenever it comes back.
    pub fn provide(&mut self, tree: Value) {
        self.send_tree(&tree);
        self.tree = Some(tree);
    }

    fn provide_again(&mut self) {
        if let Some(tree) = self.tree.clone() {
            self.send_tree(&tree);
        }
    }

    fn send_tree(&mut self, tree: &Value) {
        self.send(&json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": tree}));
    }

    /// As a tab, changes its tree.
    pub fn patch(&mut self, operations: &[Value]) {
        self.send(&json!({"type": "patch", "subscription": "ui-mount", "version": 2, "ops": operations}));
    }

    /// Takes all that the engine has for it, and comes back if it was closed.
    pub fn read(&mut self) {
        while let Some(frame) = self.connection.as_ref().and_then(Connection::try_next_frame) {
            match frame {
                Frame::Close { .. } => self.connection = None,
                Frame::Text(text) if self.is_tab && text.contains(r#""subscribe""#) => self.provide_again(),
                Frame::Text(_) | Frame::Ping => {}
            }
        }
        if self.connection.is_none() {
            self.reconnect();
        }
    }

    /// Looks whether it was closed, and reads nothing otherwise.
    pub fn come_back_if_aborted(&mut self) {
        if self.connection.as_ref().is_none_or(Connection::is_aborted) {
            self.reconnect();
        }
    }
}
