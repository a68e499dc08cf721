//! The metrics in the text format that came before OpenMetrics, for readers that don't ask for the newer one: `promtool
//! check metrics`, `curl`, most agents.
//!
//! What differs: the newer one declares a counter by its name without `_total`, and an info by its name without `_info`;
//! it has a line with the unit, and a last line.

/// Rewrites OpenMetrics text.
pub(super) fn from_openmetrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { continue };
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            if let Some((_, about)) = help.take().filter(|(of, _)| *of == name) {
                out.push_str(&format!("# HELP {name}{suffix} {about}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_get_their_names() {
        let text = "# HELP a_queries Queries.\n# TYPE a_queries counter\na_queries_total{x=\"y\"} 3\n\
            # HELP a_build What runs.\n# TYPE a_build info\na_build_info{v=\"1\"} 1\n\
            # HELP a_age_seconds Age.\n# TYPE a_age_seconds gauge\n# UNIT a_age_seconds seconds\na_age_seconds 0.5\n# EOF\n";
        let want = "# HELP a_queries_total Queries.\n# TYPE a_queries_total counter\na_queries_total{x=\"y\"} 3\n\
            # HELP a_build_info What runs.\n# TYPE a_build_info gauge\na_build_info{v=\"1\"} 1\n\
            # HELP a_age_seconds Age.\n# TYPE a_age_seconds gauge\na_age_seconds 0.5\n";
        assert_eq!(from_openmetrics(text), want);
    }
}
