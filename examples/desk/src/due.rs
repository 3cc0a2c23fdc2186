//! How pressing a task is today: what an AI gets as salience and a person as a coloured word.

use grove_engine::Urgency;

use crate::clock::Day;
use crate::store::{Priority, Task};

/// Days before the due day from which a task counts as soon.
const SOON_DAYS: i64 = 3;

/// Where a task stands, seen from one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Done,
    /// Days since it should have been done.
    Overdue(i64),
    Today,
    /// Days left.
    Soon(i64),
    Later,
    /// Open, with no day.
    Someday,
}

impl Due {
    pub(crate) fn of(task: &Task, today: Day) -> Self {
        let Some(due) = task.due.filter(|_| !task.done) else {
            return if task.done { Self::Done } else { Self::Someday };
        };
        match today.until(due) {
            0 => Self::Today,
            days if days < 0 => Self::Overdue(-days),
            days if days <= SOON_DAYS => Self::Soon(days),
            _ => Self::Later,
        }
    }

    /// One word, the same in the tree and as a class of the page.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Overdue(_) => "overdue",
            Self::Today => "today",
            Self::Soon(_) => "soon",
            Self::Later => "later",
            Self::Someday => "someday",
        }
    }

    /// From 0 to 1: what to look at first. A day beats a priority, so the steps are wider than what a priority adds.
    pub(crate) fn salience(self, priority: Priority) -> f64 {
        let tenths = match self {
            Self::Overdue(_) => 9.5,
            Self::Today => 8.0,
            Self::Soon(_) => 6.5,
            Self::Later => 4.5,
            Self::Someday => 3.0,
            Self::Done => 1.0,
        };
        let step = match priority {
            Priority::Low => -0.5,
            Priority::Normal => 0.0,
            Priority::High => 0.5,
        };
        (tenths + step) / 10.0
    }

    pub(crate) fn urgency(self) -> Option<Urgency> {
        match self {
            Self::Overdue(_) => Some(Urgency::High),
            Self::Today => Some(Urgency::Medium),
            Self::Soon(_) | Self::Later | Self::Someday | Self::Done => None,
        }
    }

    /// Why it is pressing, when it is.
    pub(crate) fn reason(self) -> Option<String> {
        match self {
            Self::Overdue(1) => Some("overdue since yesterday".to_owned()),
            Self::Overdue(days) => Some(format!("overdue by {days} days")),
            Self::Today => Some("due today".to_owned()),
            Self::Soon(1) => Some("due tomorrow".to_owned()),
            Self::Soon(days) => Some(format!("due in {days} days")),
            Self::Later | Self::Someday | Self::Done => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

    fn due(days: Option<i64>, done: bool) -> Due {
        let today = Day::today();
        let due = days.map(|days| today.plus(days));
        let task = Task { id: TaskId::from_row(1), title: String::new(), done, due, priority: Priority::Normal };
        Due::of(&task, today)
    }

    #[test]
    fn the_days_fall_where_they_should() {
        assert_eq!(due(Some(-1), false), Due::Overdue(1));
        assert_eq!(due(Some(0), false), Due::Today);
        assert_eq!(due(Some(3), false), Due::Soon(3));
        assert_eq!(due(Some(4), false), Due::Later);
        assert_eq!(due(None, false), Due::Someday);
        assert_eq!(due(Some(-9), true), Due::Done);
    }

    #[test]
    fn a_later_day_is_never_more_salient_than_an_earlier_one() {
        let order = [Due::Overdue(1), Due::Today, Due::Soon(2), Due::Later, Due::Someday, Due::Done];
        for pair in order.windows(2) {
            assert!(pair[0].salience(Priority::Low) > pair[1].salience(Priority::High), "{pair:?}");
        }
    }
}
