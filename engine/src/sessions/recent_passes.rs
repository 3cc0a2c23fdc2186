//! Which paths were rendered by passes that began while older ones still ran.

use super::paths::Paths;
use super::turn::Ticket;

/// The passes over single paths that began on a slot while older passes ran. When an older one begins, what it shares of
/// these paths may have been evaluated earlier than what the slot has.
///
/// Passes over all paths need no list: the latest of them overtakes everything.
#[derive(Debug, Default)]
pub(super) struct RecentPasses(Vec<(u64, Paths)>);

/// How many are kept apart. The oldest are merged: then an older pass evaluates more afresh than it would have to.
const MAX: usize = 8;

impl RecentPasses {
    /// A pass begins. Returns which paths later ones rendered, if there were any.
    pub(super) fn begin(&mut self, ticket: Ticket, paths: &Paths) -> Option<Paths> {
        // What all that run came after concerns nobody any more.
        self.0.retain(|(number, _)| *number > ticket.oldest);
        let overtaken = self.after(ticket.number);
        if ticket.has_older() && *paths != Paths::All {
            self.record(ticket.number, paths);
        }
        overtaken
    }

    fn after(&self, number: u64) -> Option<Paths> {
        let later = self.0.iter().filter(|(later, _)| *later > number).map(|(_, paths)| paths.clone());
        later.reduce(|mut all, paths| {
            all.merge(&paths);
            all
        })
    }

    fn record(&mut self, number: u64, paths: &Paths) {
        if let Some((known, _)) = self.0.iter_mut().find(|(_, known)| known == paths) {
            *known = number.max(*known);
            return;
        }
        self.0.push((number, paths.clone()));
        if self.0.len() > MAX {
            let (oldest, paths) = self.0.remove(0);
            let next = &mut self.0[0];
            next.0 = next.0.max(oldest);
            next.1.merge(&paths);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Paths {
        Paths::one(path.into())
    }

    fn ticket(number: u64, oldest: u64) -> Ticket {
        Ticket { number, oldest }
    }

    #[test]
    fn only_what_later_passes_touched_is_overtaken() {
        let mut recent = RecentPasses::default();
        assert_eq!(recent.begin(ticket(2, 1), &path("a")), None);
        assert_eq!(recent.begin(ticket(3, 1), &path("b/c")), None);
        let overtaken = recent.begin(ticket(1, 1), &Paths::All).unwrap();
        let touched: Vec<_> = ["a", "b", "b/c", "b/d", "e"].into_iter().filter(|at| overtaken.touches(at)).collect();
        assert_eq!(touched, ["a", "b", "b/c"]);
    }

    #[test]
    fn nothing_is_kept_once_no_older_pass_runs() {
        let mut recent = RecentPasses::default();
        assert_eq!(recent.begin(ticket(2, 2), &path("a")), None);
        assert!(recent.is_empty());
        recent.begin(ticket(4, 3), &path("a"));
        assert!(!recent.is_empty());
        recent.begin(ticket(5, 5), &path("a"));
        assert!(recent.is_empty());
    }

    #[test]
    fn the_list_has_a_bound_and_forgets_no_path() {
        let mut recent = RecentPasses::default();
        for number in 2..100 {
            recent.begin(ticket(number, 1), &path(&format!("p{number}")));
        }
        assert_eq!(recent.0.len(), MAX);
        let overtaken = recent.begin(ticket(1, 1), &Paths::All).unwrap();
        assert!((2..100).all(|number| overtaken.touches(&format!("p{number}"))));
    }
}
