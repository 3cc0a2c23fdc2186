//! How long functions and files are.

use std::fs;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, ItemMod, TraitItemFn};

use crate::crate_tree::rust_files;
use crate::workspace::{crates, root};

/// 95 of 100 functions are no longer.
const FUNCTION_P95: usize = 19;
const LONGEST_FUNCTION: usize = 50;
const LONGEST_FILE: usize = 500;
const MEDIAN_FILE: usize = 130;

/// The lines of each function's body, with its name.
#[derive(Default)]
struct Functions(Vec<(usize, String)>);

impl Functions {
    fn add(&mut self, name: &syn::Ident, body: &Block) {
        let span = body.span();
        let lines = (span.end().line - span.start().line).saturating_sub(1).max(1);
        self.0.push((lines, name.to_string()));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig.ident, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig.ident, body);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        // Tests that stand beside what they test are read apart.
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }
}

#[test]
fn functions_are_short() {
    let mut all = Vec::new();
    for (folder, _) in crates() {
        for path in rust_files(&root().join(&folder)) {
            let parsed = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            let mut functions = Functions::default();
            functions.visit_file(&parsed);
            for (lines, name) in functions.0 {
                assert!(lines <= LONGEST_FUNCTION, "`{name}` in {} has {lines} lines", path.display());
                all.push(lines);
            }
        }
    }
    all.sort_unstable();
    let p95 = all[all.len() * 95 / 100];
    assert!(p95 <= FUNCTION_P95, "5 of 100 functions have more than {p95} lines");
}

#[test]
fn files_are_short() {
    let mut all = Vec::new();
    for (folder, _) in crates() {
        for path in rust_files(&root().join(&folder)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
            all.push(lines);
        }
    }
    all.sort_unstable();
    let median = all[all.len() / 2];
    assert!(median <= MEDIAN_FILE, "half of the files have more than {median} lines");
}
