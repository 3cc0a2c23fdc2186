//! Who is told of the comings and goings of instances.

use super::membership::Change;

/// Is told when another instance is seen, suspect or gone: what lived there alone has ended then.
pub(crate) trait Follower: Send + Sync + 'static {
    /// Called without a lock; must not wait.
    fn changed(&self, change: &Change);
}
