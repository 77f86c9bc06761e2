//! "Did you mean": the candidate that a typo most likely stood for.

use crate::limits::NAME_BYTES_MAX;

/// The most similar candidate, if one is similar enough to be meant.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.is_empty() || written.len() > NAME_BYTES_MAX {
        return None;
    }
    let lower = written.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(similarity, candidate)| *similarity > 0.82 || is_small_slip(&lower, candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn is_small_slip(written: &str, candidate: &str) -> bool {
    let distance = strsim::damerau_levenshtein(written, &candidate.to_ascii_lowercase());
    distance * 3 <= candidate.len().min(written.len())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let words = ["kafka_source", "normalizer", "redis_cache"];
        assert_eq!(nearest("normaliser", words), Some("normalizer"));
        assert_eq!(nearest("Kafka_sorce", words), Some("kafka_source"));
        assert_eq!(nearest("quux", words), None);
    }
}
