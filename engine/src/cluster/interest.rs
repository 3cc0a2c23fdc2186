//! Which projects have sessions here, so that only their notices are asked for.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};

use crate::model::Text;

/// How many sessions each project has here, and whose notices are asked for. What is to change is told one by one, in the
/// end state: a project that came and went meanwhile is no step at all.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    sessions: HashMap<Text, isize>,
    asked: HashSet<Text>,
    changed: BTreeSet<Text>,
}

/// What is to be done about a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Subscribe(Text),
    Unsubscribe(Text),
}

impl Interest {
    /// A session of the project was opened. True if that may be the first.
    pub(crate) fn opened(&mut self, project: &Text) -> bool {
        self.add(project, 1)
    }

    /// A session of the project ended. True if that may have been the last.
    pub(crate) fn closed(&mut self, project: &Text) -> bool {
        self.add(project, -1)
    }

    /// Of two threads one may say that a session has ended before the other has said that it was opened.
    fn add(&mut self, project: &Text, more: isize) -> bool {
        let sessions = self.sessions.get(project).copied().unwrap_or_default() + more;
        match sessions {
            0 => self.sessions.remove(project),
            _ => self.sessions.insert(project.clone(), sessions),
        };
        let changes = (sessions > 0) != self.asked.contains(project);
        changes && self.changed.insert(project.clone())
    }

    /// The next step, which is taken to be done.
    pub(crate) fn next(&mut self) -> Option<Step> {
        loop {
            let project = self.changed.pop_first()?;
            let has_sessions = self.sessions.get(&project).is_some_and(|sessions| *sessions > 0);
            match (has_sessions, self.asked.contains(&project)) {
                (true, false) => {
                    self.asked.insert(project.clone());
                    return Some(Step::Subscribe(project));
                }
                (false, true) => {
                    self.asked.remove(&project);
                    return Some(Step::Unsubscribe(project));
                }
                _ => {}
            }
        }
    }

    /// Whether the notices of a project are asked for.
    pub(crate) fn holds(&self, project: &str) -> bool {
        self.asked.contains(project)
    }

    /// How many projects there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.sessions.len().max(self.asked.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_project_is_asked_for_with_its_first_session_and_not_after_its_last() {
        let (mut interest, p) = (Interest::default(), Text::from("p"));
        assert!(interest.opened(&p) && !interest.opened(&p), "it is known to change");
        assert_eq!(interest.next(), Some(Step::Subscribe(p.clone())));
        assert!(interest.holds("p") && !interest.closed(&p) && interest.closed(&p));
        assert!(!interest.opened(&p));
        assert_eq!(interest.next(), None, "it is asked for already");
        assert!(interest.closed(&p));
        assert_eq!(interest.next(), Some(Step::Unsubscribe(p)));
        assert_eq!(interest.len(), 0);
    }

    proptest! {
        #[test]
        fn exactly_the_projects_with_sessions_are_asked_for(
            steps in prop::collection::vec((0_u8..3, any::<bool>(), any::<bool>()), 0..60)
        ) {
            let (mut interest, mut open) = (Interest::default(), BTreeMap::<Text, usize>::new());
            let mut asked = BTreeSet::new();
            for (project, opens, looks) in steps {
                let project = Text::from(project.to_string());
                let sessions = open.entry(project.clone()).or_default();
                if opens {
                    *sessions += 1;
                    interest.opened(&project);
                } else if *sessions > 0 {
                    *sessions -= 1;
                    interest.closed(&project);
                }
                while let Some(step) = looks.then(|| interest.next()).flatten() {
                    let is_a_change = match step {
                        Step::Subscribe(project) => asked.insert(project),
                        Step::Unsubscribe(project) => asked.remove(&project),
                    };
                    prop_assert!(is_a_change);
                }
                if looks {
                    let expected = open.iter().filter(|(_, sessions)| **sessions > 0).map(|(project, _)| project.clone());
                    prop_assert_eq!(&asked, &expected.collect::<BTreeSet<_>>());
                }
            }
        }
    }
}
