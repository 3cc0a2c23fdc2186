//! Members that are kept in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use parking_lot::Mutex;

use crate::member::{Member, Members, MembersError, Standing};
use crate::public_key::PublicKey;

/// How many members, removed keys and revoked session keys are known at most, each.
const MOST: usize = 1_000_000;

/// Members in memory: for tests, and for applications that know them from elsewhere.
#[derive(Debug, Default)]
pub struct MemoryMembers {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    projects: HashMap<String, Project>,
    members: usize,
    removed: VecDeque<(String, PublicKey)>,
    revoked: HashMap<(String, PublicKey), u64>,
}

#[derive(Debug, Default)]
struct Project {
    by_id: BTreeMap<String, Member>,
    by_key: HashMap<PublicKey, Option<String>>,
}

impl MemoryMembers {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Known {
    /// A key is not a member's any more. The oldest of them are forgotten, and are unknown then.
    fn removed(&mut self, project: &str, key: PublicKey) {
        let of = self.projects.entry(project.to_owned()).or_default();
        of.by_key.insert(key, None);
        self.removed.push_back((project.to_owned(), key));
        if self.removed.len() > MOST
            && let Some((project, key)) = self.removed.pop_front()
            && let Some(of) = self.projects.get_mut(&project)
            && of.by_key.get(&key) == Some(&None)
        {
            of.by_key.remove(&key);
        }
    }
}

impl Members for MemoryMembers {
    fn add(&self, project: &str, member: Member) -> Result<(), MembersError> {
        member.validate()?;
        let mut known = self.known.lock();
        let is_full = known.members >= MOST;
        let of = known.projects.entry(project.to_owned()).or_default();
        if of.by_key.get(&member.public_key).is_some_and(|id| id.as_ref().is_some_and(|id| *id != member.id)) {
            return Err(MembersError::KeyTaken);
        }
        if is_full && !of.by_id.contains_key(&member.id) {
            return Err(MembersError::Full);
        }
        let key = member.public_key;
        of.by_key.insert(key, Some(member.id.clone()));
        match of.by_id.insert(member.id.clone(), member) {
            Some(before) if before.public_key != key => known.removed(project, before.public_key),
            Some(_) => {}
            None => known.members += 1,
        }
        Ok(())
    }

    fn remove(&self, project: &str, id: &str) -> Result<Option<PublicKey>, MembersError> {
        let mut known = self.known.lock();
        let member = known.projects.get_mut(project).and_then(|of| of.by_id.remove(id));
        let Some(member) = member else { return Ok(None) };
        known.members -= 1;
        known.removed(project, member.public_key);
        Ok(Some(member.public_key))
    }

    fn list(&self, project: &str) -> Result<Vec<Member>, MembersError> {
        let known = self.known.lock();
        Ok(known.projects.get(project).into_iter().flat_map(|of| of.by_id.values()).cloned().collect())
    }

    fn find(&self, project: &str, key: &PublicKey) -> Result<Standing, MembersError> {
        let known = self.known.lock();
        let found = known.projects.get(project).and_then(|of| Some((of, of.by_key.get(key)?)));
        Ok(match found {
            None => Standing::Unknown,
            Some((_, None)) => Standing::Removed,
            Some((of, Some(id))) => of.by_id.get(id).cloned().map_or(Standing::Unknown, Standing::Member),
        })
    }

    fn revoke_session(
        &self,
        project: &str,
        key: &PublicKey,
        (now_ms, until_ms): (u64, u64),
    ) -> Result<(), MembersError> {
        let mut known = self.known.lock();
        if known.revoked.len() >= MOST {
            known.revoked.retain(|_, until_ms| *until_ms > now_ms);
        }
        if known.revoked.len() >= MOST {
            return Err(MembersError::Full);
        }
        known.revoked.insert((project.to_owned(), *key), until_ms);
        Ok(())
    }

    fn is_session_revoked(&self, project: &str, key: &PublicKey, now_ms: u64) -> Result<bool, MembersError> {
        let mut known = self.known.lock();
        let of = (project.to_owned(), *key);
        let until_ms = known.revoked.get(&of).copied();
        if until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
            known.revoked.remove(&of);
        }
        Ok(until_ms.is_some_and(|until_ms| until_ms > now_ms))
    }
}
