//! The resume points of one session's lost connections.

use crate::deliver::resume_point::ResumePoint;
use crate::render::view::ViewOptions;

/// The latest resume points, and until when they are kept.
#[derive(Debug, Default)]
pub(super) struct ResumePoints {
    points: Vec<ResumePoint>,
    until_ms: u64,
    /// When they are looked at, in ms; earlier timers find that they do not matter any more.
    look_ms: u64,
}

/// What adding resume points leads to.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// Whether somebody has to look at that time whether they have expired.
    pub(crate) first: bool,
    /// The oldest, which had to go.
    pub(crate) evicted: Vec<ResumePoint>,
}

/// What a look at them finds.
#[derive(Debug)]
pub(crate) enum Expired {
    /// There are none, or a later timer looks at them.
    Nothing,
    /// They are kept until then, in ms.
    Later(u64),
    /// To be dropped without a lock.
    These(#[expect(dead_code, reason = "held until no lock is")] Vec<ResumePoint>),
}

impl ResumePoints {
    pub(super) const fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Adds points; of all the latest `max` are kept.
    pub(super) fn add(&mut self, points: Vec<ResumePoint>, max: usize, until_ms: u64) -> Added {
        let first = self.points.is_empty();
        self.points.extend(points);
        self.until_ms = until_ms;
        if first {
            self.look_ms = until_ms;
        }
        let over = self.points.len().saturating_sub(max);
        Added { first, evicted: self.points.drain(..over).collect() }
    }

    /// Takes the one from which a consumer with this view and this copy can resume.
    pub(super) fn take(&mut self, view: &ViewOptions, version: u64) -> Option<ResumePoint> {
        let at = self.points.iter().position(|point| point.serves(view, version))?;
        Some(self.points.remove(at))
    }

    pub(super) fn take_all(&mut self) -> Vec<ResumePoint> {
        std::mem::take(&mut self.points)
    }

    pub(super) fn expire(&mut self, now_ms: u64) -> Expired {
        if self.points.is_empty() || self.look_ms > now_ms {
            return Expired::Nothing;
        }
        if self.until_ms > now_ms {
            self.look_ms = self.until_ms;
            return Expired::Later(self.until_ms);
        }
        Expired::These(self.take_all())
    }
}
