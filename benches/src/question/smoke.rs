//! Small sizes of every question: what a machine without a person looks at after each change.

use super::live::slow;
use super::plan::{Planned, planned};
use super::{churn, connect, live, memory, refresh, resume};
use crate::cell::Cell;
use crate::options::Asked;
use crate::workload::{Likeness, Workload};

pub(super) fn plan() -> Vec<Planned> {
    let asked = |workload, likeness, sessions| Asked {
        workload: Some(workload),
        likeness: Some(likeness),
        sessions: Some(sessions),
        peer: likeness == Likeness::Distinct,
        peer_sessions: 50,
        ..Asked::default()
    };
    let mut plan = Vec::new();
    for likeness in [Likeness::Distinct, Likeness::Tenth, Likeness::One] {
        let inbox = asked(Workload::Inbox, likeness, 500);
        plan.extend(planned(&inbox, &memory::cells(&inbox)));
        plan.extend(planned(&inbox, &refresh::cells(&inbox, None)));
        plan.extend(planned(&inbox, &connect::cells(&inbox)));
        plan.extend(planned(&inbox, &resume::cells(&inbox, None)));
    }
    let mail = asked(Workload::Mail, Likeness::Distinct, 100);
    plan.extend(planned(&mail, &memory::cells(&mail)));
    plan.extend(planned(&mail, &refresh::cells(&mail, None)));
    plan.extend(planned(&mail, &resume::cells(&mail, None)));
    let own = Asked { peer: false, ..asked(Workload::Inbox, Likeness::Distinct, 200) };
    let each = memory::cells(&own).into_iter().map(|cell| Cell { per_session: true, ..cell }).collect::<Vec<_>>();
    plan.extend(planned(&own, &each));
    let crowd = asked(Workload::Inbox, Likeness::One, 200);
    plan.extend(planned(&crowd, &live::cells(&crowd, None)));
    let readers = Asked { peer: false, ..asked(Workload::Inbox, Likeness::Distinct, 110) };
    plan.extend(planned(&readers, &slow::cells(&readers)));
    let cycles = Asked { peer: false, ..asked(Workload::Inbox, Likeness::Distinct, 5_000) };
    plan.extend(planned(&cycles, &churn::cells(&cycles)));
    plan
}
