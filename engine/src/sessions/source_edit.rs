//! Changes of the sources that one session alone has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::RegisterError;
use crate::model::Text;
use crate::model::session::Session;
use crate::render::descriptor::Descriptor;
use crate::render::source::Source;

/// Changes of the sources that one session alone has. All of them hold from one moment on, so no tree shows only some.
///
/// They come from [`Engine::edit_sources_for`](crate::Engine::edit_sources_for). Of several changes of one path the last
/// holds.
#[derive(Debug, Default)]
pub struct SourceEdits {
    edits: BTreeMap<Text, SourceEdit<Source>>,
    pub(crate) without_refresh: bool,
    /// The first path that cannot be used.
    error: Option<RegisterError>,
}

/// What becomes of one path.
#[derive(Debug)]
pub(crate) enum SourceEdit<S = Arc<Source>> {
    /// The session has a source of its own there, or the path is hidden (`None`).
    Set(Option<S>),
    /// The session has there what everybody has.
    Restore,
}

impl SourceEdits {
    /// Registers a source over what everybody has at that path.
    pub fn register(&mut self, path: &str, source: Source) -> &mut Self {
        self.add(path, |_| SourceEdit::Set(Some(source)))
    }

    /// Hides a path, whether everybody has it or only this session.
    pub fn unregister(&mut self, path: &str) -> &mut Self {
        // The root is always there; hidden, it is bare.
        let bare = || Source::new(|_: &Session| Descriptor::default());
        self.add(path, |path| SourceEdit::Set(path.is_empty().then(bare)))
    }

    /// Gives the session what everybody has at a path, or its instance.
    pub fn restore(&mut self, path: &str) -> &mut Self {
        self.add(path, |_| SourceEdit::Restore)
    }

    /// The changes are not rendered by themselves but with the session's next refresh. In a handler that is the one that
    /// follows the call, so the call is one commit; if its action declares what it changes, these paths must be among it.
    pub fn without_refresh(&mut self) -> &mut Self {
        self.without_refresh = true;
        self
    }

    fn add(&mut self, path: &str, edit: impl FnOnce(&str) -> SourceEdit<Source>) -> &mut Self {
        match RegisterError::check(path) {
            Ok(path) => {
                let edit = edit(&path);
                self.edits.insert(path, edit);
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }

    /// The changes by path, with every source made the engine's, or why none can be made.
    pub(crate) fn finish(
        self,
        adopt: impl Fn(&Text, &mut Source) -> Result<(), RegisterError>,
    ) -> Result<BTreeMap<Text, SourceEdit>, RegisterError> {
        let adopted = |(path, edit)| {
            let edit = match edit {
                SourceEdit::Set(Some(mut source)) => {
                    adopt(&path, &mut source)?;
                    SourceEdit::Set(Some(Arc::new(source)))
                }
                SourceEdit::Set(None) => SourceEdit::Set(None),
                SourceEdit::Restore => SourceEdit::Restore,
            };
            Ok((path, edit))
        };
        self.error.map_or_else(|| self.edits.into_iter().map(adopted).collect(), Err)
    }
}
