//! The guide's tables of limits match the code.

use std::collections::BTreeMap;
use std::time::Duration;

use grove_engine::Config;

/// The defaults as the guide lists them: `group.field` with its value.
fn documented() -> BTreeMap<String, String> {
    let guide = include_str!("../../../../docs/guide/operations.md");
    let section = guide.split("## Limits").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| (name.to_owned(), normalised(rest.split(" |").next().unwrap()))).collect()
}

/// A value as `Debug` writes it: durations such as `60 s` as `60s`.
fn normalised(value: &str) -> String {
    let Some((number, unit)) = value.split_once(' ') else { return value.to_owned() };
    let number: u64 = number.parse().unwrap();
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "min" => Duration::from_secs(60 * number),
        other => panic!("not a unit of time: {other}"),
    };
    format!("{duration:?}")
}

/// The same from the code, whose `Debug` is `Config { times: Times { debounce: 50ms, .. }, .. }`.
fn defaults() -> BTreeMap<String, String> {
    let printed = format!("{:?}", Config::default()).replace("Some(200)", "200");
    let groups = printed.trim_start_matches("Config { ").trim_end_matches(" }").split(" }, ");
    let fields = groups.flat_map(|group| {
        let (name, fields) = group.split_once(": ").unwrap();
        let (_, fields) = fields.split_once(" { ").unwrap();
        fields.split(", ").map(move |field| (name, field.split_once(": ").unwrap()))
    });
    let value = |name: &str, value: &str| if name == "pass_threads" { "cores".to_owned() } else { value.to_owned() };
    fields.map(|(group, (field, default))| (format!("{group}.{field}"), value(field, default))).collect()
}

#[test]
fn the_guide_lists_every_limit_with_its_default() {
    assert_eq!(documented(), defaults());
}
