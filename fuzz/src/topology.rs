//! A topology file.

use aqueduct_topology::{Source, has_errors, load_unconnected};

/// Promise: either it is understood, or at least one error says what is wrong with it; and every place that is named lies
/// in the file.
pub fn topology(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let source = Source::new("fuzzed.yaml", text);
    let (loaded, diagnostics) = load_unconnected(&source, &|_| None);
    assert_eq!(
        loaded.is_none(),
        has_errors(&diagnostics),
        "refused means an error, and an error refused: {diagnostics:#?}"
    );
    for diagnostic in &diagnostics {
        assert!(!diagnostic.message.is_empty(), "{diagnostic:#?}");
    }
    // Rendering cuts the file at the places.
    assert_eq!(aqueduct_topology::to_text(&source, &diagnostics, false).is_empty(), diagnostics.is_empty());
}
