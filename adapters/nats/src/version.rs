//! Which versions of servers are good for what.

/// From this version on, replicas of streams agree again after their servers were killed.
const REPLICATED_STREAMS: (u64, u64) = (2, 11);

/// Returns what a server of that version is too old for. Notices and requests need core NATS, which every version has.
#[must_use]
pub fn too_old_for(version: &str) -> Option<&'static str> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map(|number| number.parse::<u64>().ok());
    let of = (numbers.next().flatten()?, numbers.next().flatten()?);
    (of < REPLICATED_STREAMS).then_some("streams with several replicas (2.11 or later)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicated_streams_need_2_11() {
        for old in ["2.9.10", "2.10.25", "1.4.0", "v2.1"] {
            assert!(too_old_for(old).is_some(), "{old}");
        }
        for good in ["2.11.0", "2.15.1", "2.12.0-beta.1", "3.0.0", "unknown", ""] {
            assert!(too_old_for(good).is_none(), "{good}");
        }
    }
}
