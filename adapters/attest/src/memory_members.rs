//! Members that are kept in memory.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

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
    revoked: Revoked,
}

/// Session keys that are refused, each in its project.
#[derive(Debug, Default)]
struct Revoked {
    keys: HashSet<(String, PublicKey)>,
    /// The oldest first.
    order: VecDeque<(String, PublicKey)>,
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

impl Revoked {
    /// One more; the oldest is forgotten if there are more than so many.
    fn add(&mut self, key: (String, PublicKey), most: usize) {
        if self.keys.insert(key.clone()) {
            self.order.push_back(key);
        }
        if self.order.len() > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
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

    fn revoke_session(&self, project: &str, key: &PublicKey) -> Result<(), MembersError> {
        self.known.lock().revoked.add((project.to_owned(), *key), MOST);
        Ok(())
    }

    fn is_session_revoked(&self, project: &str, key: &PublicKey) -> Result<bool, MembersError> {
        Ok(self.known.lock().revoked.keys.contains(&(project.to_owned(), *key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_key::SecretKey;

    #[test]
    fn of_too_many_revoked_keys_the_oldest_are_forgotten() {
        let key = |number| ("acme".to_owned(), SecretKey::from_seed(&[number; 32]).public_key());
        let mut revoked = Revoked::default();
        [1, 2, 1, 3].into_iter().for_each(|number| revoked.add(key(number), 2));
        assert_eq!([1, 2, 3].map(|number| revoked.keys.contains(&key(number))), [false, true, true]);
        assert_eq!(revoked.order.len(), 2);
    }
}
