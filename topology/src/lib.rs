//! The topology language: text in, a typed topology and its diagnostics out.
