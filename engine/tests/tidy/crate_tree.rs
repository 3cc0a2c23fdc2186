//! The files of one crate, parsed, with what each uses of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ExprAwait, File, Item, ItemImpl, ItemMod, ItemUse, Meta, UseTree};

/// A module by its path in the crate; the root is empty.
pub(crate) type Module = Vec<String>;

/// One file of a crate.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) module: Module,
    /// The modules that it declares, in order.
    pub(crate) declares: Vec<String>,
    /// What it names of the crate: paths from the root, by `use` or inline.
    pub(crate) names: BTreeSet<Module>,
    /// The types, traits and functions that it defines.
    pub(crate) defines: BTreeSet<String>,
    /// The types that it has inherent `impl` blocks for.
    pub(crate) implements: BTreeSet<String>,
    /// Whether anything in it awaits.
    pub(crate) awaits: bool,
}

/// The files of one crate by their module.
#[derive(Debug)]
pub(crate) struct CrateTree(pub(crate) BTreeMap<Module, SourceFile>);

impl CrateTree {
    /// Reads the crate whose sources are in this folder.
    pub(crate) fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        for path in rust_files(src) {
            let module = module_of(path.strip_prefix(src).unwrap());
            files.insert(module.clone(), SourceFile::read(&path, module));
        }
        Self(files)
    }

    /// The file that a named path leads to: the longest prefix that is a module.
    pub(crate) fn file_of(&self, name: &[String]) -> Option<&SourceFile> {
        (0..=name.len()).rev().find_map(|length| self.0.get(&name[..length]))
    }

    /// The files that a file uses, by `use` or inline paths; not the crate's root, whose re-exports are not followed.
    pub(crate) fn used_by(&self, file: &SourceFile) -> BTreeSet<Module> {
        let used = file.names.iter().filter_map(|name| self.file_of(name)).map(|used| used.module.clone());
        used.filter(|module| *module != file.module && !module.is_empty()).collect()
    }
}

impl SourceFile {
    fn read(path: &Path, module: Module) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let parsed: File = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = Reader { module: module.clone(), ..Reader::default() };
        reader.visit_file(&parsed);
        let Reader { declares, names, defines, implements, awaits, .. } = reader;
        Self { module, declares, names, defines, implements, awaits }
    }
}

#[derive(Default)]
struct Reader {
    module: Module,
    declares: Vec<String>,
    names: BTreeSet<Module>,
    defines: BTreeSet<String>,
    implements: BTreeSet<String>,
    awaits: bool,
}

impl Reader {
    /// A path of this crate from its root, or nothing if it is of another crate.
    fn path_from_root(&self, path: &[String]) -> Option<Module> {
        let mut at = self.module.clone();
        let (first, mut rest) = path.split_first()?;
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
                while let Some((_, further)) = rest.split_first().filter(|(next, _)| *next == "super") {
                    at.pop();
                    rest = further;
                }
            }
            child if self.declares.iter().any(|declared| declared == child) => at.push(child.to_owned()),
            _ => return None,
        }
        at.extend_from_slice(rest);
        Some(at)
    }

    fn use_tree(&mut self, prefix: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.use_tree(prefix, &path.tree);
                prefix.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(prefix, tree)),
            UseTree::Name(name) => self.name(prefix, Some(name.ident.to_string())),
            UseTree::Rename(rename) => self.name(prefix, Some(rename.ident.to_string())),
            UseTree::Glob(_) => self.name(prefix, None),
        }
    }

    fn name(&mut self, prefix: &[String], last: Option<String>) {
        let path: Vec<_> = prefix.iter().cloned().chain(last.filter(|last| last != "self")).collect();
        self.names.extend(self.path_from_root(&path));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(&mut self, file: &'ast File) {
        // Declared first: a path may name a module that is declared further down.
        let modules = file.items.iter().filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
            _ => None,
        });
        self.declares = modules.collect();
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Struct(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        self.defines.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        // A module's own tests may use whatever they test.
        if !module.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        if let (None, syn::Type::Path(path)) = (&block.trait_, &*block.self_ty) {
            self.implements.extend(path.path.segments.last().map(|segment| segment.ident.to_string()));
        }
        visit::visit_item_impl(self, block);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.names.extend(self.path_from_root(&segments));
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_await(&mut self, expression: &'ast ExprAwait) {
        self.awaits = true;
        visit::visit_expr_await(self, expression);
    }
}

fn is_test(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string().contains("test"))
}

fn module_of(file: &Path) -> Module {
    let mut module: Module = file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

/// All Rust files below a folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
