//! Which file may use which: reading order, no circles, and a type's methods in one place.

use std::collections::BTreeSet;

use crate::crate_tree::{CrateTree, Module, SourceFile};
use crate::workspace::{crates, engine};

fn shown(module: &[String]) -> String {
    module.join("::")
}

/// The module of this length that two files have in common, and by which of its children each is reached.
fn siblings<'a>(one: &'a [String], other: &'a [String]) -> Option<(&'a [String], &'a str, &'a str)> {
    let common = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    Some((&one[..common], one.get(common)?, other.get(common)?))
}

/// What a file uses of a sibling that its folder lists after it.
fn out_of_order(tree: &CrateTree, file: &SourceFile) -> Vec<String> {
    let mut violations = Vec::new();
    for used in tree.used_by(file) {
        let Some((parent, mine, theirs)) = siblings(&file.module, &used) else { continue };
        let Some(parent) = tree.0.get(parent) else { continue };
        let place = |name: &str| parent.declares.iter().position(|declared| declared == name);
        if place(theirs) > place(mine) {
            violations.push(format!("`{}` uses `{}`", shown(&file.module), shown(&used)));
        }
    }
    violations
}

#[test]
fn a_file_uses_only_modules_that_are_listed_before_its_own() {
    let tree = engine();
    assert!(tree.0.len() > 100, "{} files", tree.0.len());
    let violations: Vec<_> = tree.0.values().flat_map(|file| out_of_order(&tree, file)).collect();
    assert!(violations.is_empty(), "used before they are listed:\n{}", violations.join("\n"));
}

/// Everything that is reached from a file through others.
fn reached(tree: &CrateTree, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from.clone()];
    while let Some(module) = waiting.pop() {
        for used in tree.used_by(&tree.0[&module]) {
            if reached.insert(used.clone()) {
                waiting.push(used);
            }
        }
    }
    reached
}

#[test]
fn no_two_files_use_each_other() {
    for (name, tree) in crates() {
        let circular = tree.0.keys().filter(|module| !module.is_empty() && reached(&tree, module).contains(*module));
        let circular: Vec<_> = circular.map(|module| shown(module)).collect();
        assert!(circular.is_empty(), "{name}: files that use themselves through others:\n{}", circular.join("\n"));
    }
}

#[test]
fn the_methods_of_a_type_stand_in_its_own_file_or_folder() {
    let tree = engine();
    let mut violations = Vec::new();
    for file in tree.0.values() {
        for name in file.implements.difference(&file.defines) {
            let beside = |other: &SourceFile| {
                other.defines.contains(name)
                    && (other.module.starts_with(&file.module) || file.module.starts_with(&other.module))
            };
            if !tree.0.values().any(beside) {
                violations.push(format!("`{}` has methods of `{name}`", shown(&file.module)));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn nothing_is_awaited_in_the_pure_modules() {
    for file in engine().0.values() {
        let pure =
            file.module.first().is_some_and(|top| ["model", "protocol", "render", "deliver"].contains(&top.as_str()));
        assert!(!pure || !file.awaits, "`{}` awaits", shown(&file.module));
    }
}
