//! The guide's table of limits is that of the code.

use std::collections::BTreeMap;

use grove_engine::Config;

#[test]
fn the_guide_lists_every_bound_with_its_default() {
    let guide = include_str!("../../../../docs/guide/operations.md");
    let section = guide.split("## Limits").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let documented: BTreeMap<_, _> = rows.map(|(name, rest)| (name, rest.split(' ').next().unwrap())).collect();

    let defaults = format!("{:?}", Config::default()).replace("Some(200)", "200");
    let fields = defaults.trim_start_matches("Config { ").trim_end_matches(" }").split(", ");
    let fields = fields.map(|field| field.split_once(": ").unwrap());
    let known: BTreeMap<_, _> =
        fields.map(|(name, value)| (name, if name == "pass_threads" { "cores" } else { value })).collect();
    assert_eq!(documented, known);
}
