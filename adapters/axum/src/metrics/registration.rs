//! Making counters, and counting.

use std::fmt::Debug;
use std::hash::Hash;

use prometheus_client::encoding::EncodeLabelValue;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// A counter for each value of one label.
pub(super) type CounterBy<V> = Family<[(&'static str, V); 1], Counter>;

/// Creates metrics and registers them.
pub(super) struct Registration<'a>(pub(super) &'a mut Registry);

impl Registration<'_> {
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.add(name, help, Counter::default())
    }

    pub(super) fn counter_by<V: EncodeLabelValue + Clone + Hash + Eq + Debug + Send + Sync + 'static>(
        &mut self,
        name: &str,
        help: &str,
    ) -> CounterBy<V> {
        self.add(name, help, CounterBy::default())
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        self.add(name, help, Histogram::new(bounds.iter().copied()))
    }

    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

pub(super) fn one(counter: &Counter) {
    counter.inc();
}

pub(super) fn one_by<V>(family: &CounterBy<V>, label: &'static str, value: V)
where
    V: Clone + Hash + Eq,
{
    family.get_or_create(&[(label, value)]).inc();
}
