//! What the program and the daemon share, word for word: the numbers of `edge/kernel/layout.h`, which says what each is.
#![allow(missing_docs, dead_code, reason = "one table for two languages: said and used there")]

include!(concat!(env!("OUT_DIR"), "/layout.rs"));

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    /// Each word of the policy means one thing; but where the filters' begin, there is their first.
    #[test]
    fn no_word_of_the_policy_has_two_names() {
        let mut names = HashMap::new();
        for line in include_str!("../../kernel/layout.h").lines() {
            let mut words = line.split_whitespace();
            if let (Some("#define"), Some(name), Some(place)) = (words.next(), words.next(), words.next())
                && name.starts_with("POLICY_")
                && !["POLICY_WORDS", "POLICY_FILTERS", "POLICY_FILTER_WORDS"].contains(&name)
            {
                assert_eq!(names.insert(place, name), None, "{name} is at {place} too");
            }
        }
        assert!(names.len() > 20);
    }
}
