//! The guide's tables of limits are those of the code.
//! (For adapters/axum/tests/suite/limits.rs; the guide's tables name fields as `group.field`, durations as `50 ms`.)

use std::collections::BTreeMap;

use grove_engine::Config;

/// The rows of the guide, by field: `times.debounce` and `50ms`.
fn documented(guide: &str) -> BTreeMap<String, String> {
    let section = guide.split("\n## Limits").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| (name.to_owned(), rest.split(" |").next().unwrap().replace(' ', ""))).collect()
}

/// The fields of `Config`, by the same names, with their defaults as `Debug` shows them.
fn known() -> BTreeMap<String, String> {
    let defaults = format!("{:?}", Config::default()).replace("Some(200)", "200");
    let groups = defaults.split_once(" { ").unwrap().1.split(" }").filter_map(|group| group.split_once(" { "));
    let mut fields = BTreeMap::new();
    for (head, group) in groups {
        let name = head.trim_start_matches(", ").split(':').next().unwrap();
        for (field, value) in group.split(", ").map(|field| field.split_once(": ").unwrap()) {
            let value = if field == "pass_threads" { "cores" } else { value };
            fields.insert(format!("{name}.{field}"), value.to_owned());
        }
    }
    fields
}

#[test]
fn the_guide_lists_every_limit_with_its_default() {
    assert_eq!(documented(include_str!("../../../../docs/guide/operations.md")), known());
}

#[tokio::test]
#[should_panic(expected = "`authenticate_timeout` must be longer than zero")]
async fn an_authenticator_without_any_time_panics_when_it_is_configured() {
    let engine = grove_engine::Engine::builder("desk", "Desk").build();
    let _ = grove_axum::Slop::new(engine, crate::server::known_users()).authenticate_timeout(std::time::Duration::ZERO);
}
