//! The whole run against one server.

use std::future::Future;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::Value;

use crate::compare::{brief, contains, differences, node_at};
use crate::peer::{Failed, Peer, SETTLE, eventually, fail, list};
use crate::script::{self, Effect, Known, Read, Script, Step};
use crate::slow_link::SlowLink;

/// How long a consumer may need to catch up after it was not read.
const CATCH_UP: Duration = Duration::from_secs(60);

pub(crate) struct Run {
    url: String,
    script: Script,
    passed: AtomicUsize,
    /// Where only the caller changes its tree, the mirror must be right when the result arrives. Elsewhere another
    /// change may come between the mirror and the query.
    patience: Duration,
}

impl Run {
    pub(crate) fn new(url: String, script: Script) -> Self {
        let patience = if script.quiet { Duration::ZERO } else { SETTLE };
        Self { url, script, passed: AtomicUsize::new(0), patience }
    }

    /// How many checks passed.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    pub(crate) async fn all(&self, rounds: usize, concurrent: usize) -> Result<(), Failed> {
        for number in 1..=rounds {
            self.phase(&format!("round {number}"), self.round()).await?;
        }
        self.phase("slow reader", self.slow_reader()).await?;
        if concurrent > 1 {
            self.phase(&format!("{concurrent} consumers"), self.concurrent(concurrent)).await?;
        }
        self.phase("last steps", self.last()).await
    }

    async fn phase(&self, name: &str, work: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
        let before = self.passed();
        work.await.map_err(|failed| Failed(format!("{name}: {failed}")))?;
        writeln!(io::stdout(), "{name}: {} passed", self.passed() - before).map_err(|e| Failed(e.to_string()))
    }

    fn pass(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    /// All steps, then a new connection, which must find the session as the old one left it.
    async fn round(&self) -> Result<(), Failed> {
        let peer = self.connect().await?;
        self.agree(&peer, self.patience).await?;
        self.steps(&peer, &self.script.steps, &[]).await?;
        for read in &self.script.reads {
            self.read(&peer, read).await?;
        }
        let before = peer.mirror(0).await?;
        peer.close().await?;

        let again = self.connect().await?;
        let found = differences(&before, &again.mirror(0).await?);
        if self.script.quiet && !found.is_empty() {
            return fail(format!("a new connection sees a different tree:\n  {}", list(&found)));
        }
        self.agree(&again, self.patience).await?;
        again.close().await
    }

    /// A consumer whose socket is not read for a while catches up without losing anything.
    async fn slow_reader(&self) -> Result<(), Failed> {
        let link = SlowLink::open(&self.url).await.map_err(|e| Failed(e.to_string()))?;
        let slow = Peer::connect(&link.url, &self.script).await?;
        let quick = self.connect().await?;
        link.read(false);
        self.steps(&quick, &self.script.slow, &[]).await?;
        link.read(true);
        self.agree(&slow, CATCH_UP).await?;
        slow.close().await?;
        quick.close().await
    }

    /// Several consumers of one session: first one acts and the others follow, then all act at once.
    async fn concurrent(&self, count: usize) -> Result<(), Failed> {
        let peers = try_join_all((0..count).map(|_| self.connect())).await?;
        self.steps(&peers[0], &self.script.steps, &peers[1..]).await?;

        try_join_all(peers.iter().enumerate().map(async |(n, peer)| {
            let mut known = numbered(n + 1);
            for step in &self.script.together {
                self.step(peer, step, &mut known, false).await?;
            }
            Ok(())
        }))
        .await?;
        for peer in peers {
            self.agree(&peer, SETTLE).await?;
            peer.close().await?;
        }
        Ok(())
    }

    async fn last(&self) -> Result<(), Failed> {
        if self.script.last.is_empty() {
            return Ok(());
        }
        let peer = self.connect().await?;
        self.steps(&peer, &self.script.last, &[]).await?;
        peer.close().await
    }

    async fn connect(&self) -> Result<Peer, Failed> {
        Peer::connect(&self.url, &self.script).await
    }

    async fn agree(&self, peer: &Peer, patience: Duration) -> Result<(), Failed> {
        peer.check_mirrors(peer.mirrors().await?, patience).await?;
        self.pass();
        Ok(())
    }

    async fn steps(&self, peer: &Peer, steps: &[Step], followers: &[Peer]) -> Result<(), Failed> {
        let mut known = numbered(1);
        for step in steps {
            self.step(peer, step, &mut known, true).await?;
            for (follower, number) in followers.iter().zip(2..) {
                self.agree(follower, SETTLE).await.map_err(|failed| {
                    Failed(format!("consumer {number}, after {} of consumer 1: {failed}", step.action))
                })?;
            }
        }
        Ok(())
    }

    /// One action, its result, its effect, and with `compare` every mirror against a query.
    async fn step(&self, peer: &Peer, step: &Step, known: &mut Known, compare: bool) -> Result<(), Failed> {
        let path = script::fill_text(&step.path, known);
        let tree = peer.mirror(0).await?;
        let params = step.params.as_ref().map(|params| script::fill(params, known, &tree));
        let name = format!("{} on {path} with {}", step.action, brief(params.as_ref()));
        self.act(peer, step, &path, params, known, compare).await.map_err(|f| Failed(format!("{name}: {f}")))?;
        self.pass();
        Ok(())
    }

    async fn act(
        &self,
        peer: &Peer,
        step: &Step,
        path: &str,
        params: Option<Value>,
        known: &mut Known,
        compare: bool,
    ) -> Result<(), Failed> {
        let result = peer.invoke(path, &step.action, params).await?;
        let seen = peer.mirrors().await?;
        check_result(step, &result)?;
        for (name, field) in &step.save {
            match result["data"][field].as_str() {
                Some(value) => known.insert(name.clone(), value.to_owned()),
                None => return fail(format!("no {field} in the result {}", brief(Some(&result)))),
            };
        }
        if let Some(event) = &step.event {
            peer.event(event).await?;
        }
        if let Some(effect) = &step.see {
            check_effect(peer, &seen[0], effect, known, step.settle).await?;
        }
        match (compare, step.settle) {
            (true, true) => peer.check_mirrors(peer.mirrors().await?, SETTLE).await,
            (true, false) => peer.check_mirrors(seen, self.patience).await,
            (false, _) => Ok(()),
        }
    }

    async fn read(&self, peer: &Peer, read: &Read) -> Result<(), Failed> {
        let found = eventually(self.patience, async || match (peer.query(&read.path, -1).await?, &read.code) {
            (Err(got), Some(code)) if got == *code => Ok(Vec::new()),
            (Ok(_), Some(code)) => Ok(vec![format!("expected {code}, got a tree")]),
            (Err(got), _) => Ok(vec![format!("the query failed: {got}")]),
            (Ok(tree), None) => match peer.query(&read.like, -1).await? {
                Ok(like) => Ok(differences(&tree, &like)),
                Err(got) => Ok(vec![format!("the query of {:?} failed: {got}", read.like)]),
            },
        })
        .await?;
        if !found.is_empty() {
            return fail(format!("query {} like {:?}: {}", read.path, read.like, list(&found)));
        }
        self.pass();
        Ok(())
    }
}

fn numbered(n: usize) -> Known {
    Known::from([("n".to_owned(), n.to_string())])
}

fn check_result(step: &Step, result: &Value) -> Result<(), Failed> {
    if result["status"] != *step.status {
        return fail(format!("expected status {}, got {}", step.status, brief(Some(result))));
    }
    if let Some(code) = &step.code
        && result["error"]["code"] != **code
    {
        return fail(format!("expected code {code}, got {}", brief(Some(result))));
    }
    if let Some(data) = &step.data
        && !contains(&result["data"], data)
    {
        return fail(format!("expected data {data}, got {}", brief(Some(result))));
    }
    Ok(())
}

/// The patches of an action come before its result, so its effect is in the mirror (wire contract 1.8).
async fn check_effect(peer: &Peer, seen: &Value, effect: &Effect, known: &Known, settle: bool) -> Result<(), Failed> {
    let path = script::fill_text(&effect.node, known);
    let is = script::fill(&effect.is, known, seen);
    let mut tree = seen.clone();
    let found = eventually(if settle { SETTLE } else { Duration::ZERO }, async || {
        let node = node_at(&tree, &path);
        let good = if effect.absent { node.is_none() } else { node.is_some_and(|node| contains(node, &is)) };
        let want = brief((!effect.absent).then_some(&is));
        let found = if good { vec![] } else { vec![format!("expected {path} {want}, got {}", brief(node))] };
        tree = peer.mirror(0).await?;
        Ok(found)
    })
    .await?;
    match found.first() {
        Some(why) => fail(format!("not in the mirror when the result came: {why}")),
        None => Ok(()),
    }
}
