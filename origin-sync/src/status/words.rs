//! Durations as people say them.

/// `0.4s`, `17s`, `5m12s`, `3h04m`, `12d07h`; what is negative reads as `0.0s`.
pub fn duration_words(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..=9 => format!("{:.1}s", seconds.max(0.0)),
        10..=59 => format!("{whole}s"),
        60..=3599 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..=86_399 => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |seconds: f64, want: &str| assert_eq!(duration_words(seconds), want);
        check(0.0, "0.0s");
        check(-3.0, "0.0s");
        check(0.44, "0.4s");
        check(9.4, "9.4s");
        check(59.4, "59s");
        check(312.0, "5m12s");
        check(11_040.0, "3h04m");
        check(1_062_000.0, "12d07h");
    }
}
