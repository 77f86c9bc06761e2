//! What is wrong with a file whose every part can be read: names that nobody declares, edges that do not fit, columns
//! that are not there. A family of rules a file.

use crate::lower::{Context, File};

/// Runs every rule; each looks at the whole file.
pub(crate) fn check(_cx: &Context<'_>, _file: &File) {}
