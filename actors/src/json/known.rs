//! Where paths lead in messages of a shape that was seen before: the same places of the tape, without a walk.
//!
//! Invariant: what is given is what [`Paths::resolve`] gives; a tape's indices depend on its message's shape alone.

use super::shape::Shape;
use super::{Document, NodeRef, Paths};

/// Most that is kept of the elements of one shape.
const ELEMENTS_MAX: usize = 1 << 10;

/// Where one set of paths leads from the root of a message.
#[derive(Debug, Default)]
pub struct Known {
    kept: Kept,
    /// Which of those that are kept is the message's; else it is in `walked`.
    at: Option<usize>,
    walked: Vec<u32>,
}

/// The same from each element of one array or object.
#[derive(Debug, Default)]
pub struct KnownEach {
    kept: Kept,
}

/// By the leaves of one tree of shapes.
#[derive(Debug, Default)]
struct Kept {
    tree: u64,
    of_leaf: Vec<Box<[u32]>>,
}

impl Known {
    /// Finds where `paths`, always the same, lead in `document`.
    #[inline]
    pub fn resolve(&mut self, paths: &Paths, document: &Document<'_>) {
        if paths.is_empty() && !self.walked.is_empty() {
            // The root is where it always is.
            return;
        }
        self.at = document.shape.and_then(|shape| self.kept.find(shape));
        if self.at.is_none() {
            self.walk(paths, document);
        }
    }

    fn walk(&mut self, paths: &Paths, document: &Document<'_>) {
        paths.resolve(document.node(0), document, &mut self.walked);
        if let Some(shape) = document.shape {
            self.kept.keep(shape, &self.walked);
        }
    }

    /// What was found: the values' indices, one for each slot.
    #[inline]
    pub fn found(&self) -> &[u32] {
        match self.at {
            Some(at) => &self.kept.of_leaf[at],
            None => &self.walked,
        }
    }
}

impl KnownEach {
    /// Where `paths`, always the same, lead from each element of `values`, always at the same path: for each element as
    /// many indices as there are slots. `None` where that is not known; walk then.
    #[inline]
    pub fn resolve(&mut self, paths: &Paths, values: NodeRef<'_>, document: &Document<'_>) -> Option<&[u32]> {
        let shape = document.shape?;
        if self.kept.find(shape).is_none() {
            self.walk(paths, values, document, shape)?;
        }
        self.kept.of_leaf.get(shape.leaf as usize).map(|kept| &**kept)
    }

    #[cold]
    fn walk(
        &mut self,
        paths: &Paths,
        values: NodeRef<'_>,
        document: &Document<'_>,
        shape: Shape,
    ) -> Option<()> {
        let count = values.children().take(ELEMENTS_MAX).count();
        if count == 0 || count * paths.len() > ELEMENTS_MAX {
            return None;
        }
        let (mut all, mut found) = (Vec::with_capacity(count * paths.len()), Vec::new());
        for (_, element) in values.children() {
            paths.resolve(element, document, &mut found);
            all.extend_from_slice(&found);
        }
        self.kept.keep(shape, &all);
        Some(())
    }
}

impl Kept {
    #[inline]
    fn find(&self, shape: Shape) -> Option<usize> {
        let leaf = shape.leaf as usize;
        let is_kept = self.tree == shape.tree && self.of_leaf.get(leaf).is_some_and(|kept| !kept.is_empty());
        is_kept.then_some(leaf)
    }

    #[cold]
    fn keep(&mut self, shape: Shape, found: &[u32]) {
        if self.tree != shape.tree {
            *self = Self { tree: shape.tree, of_leaf: Vec::new() };
        }
        let leaf = shape.leaf as usize;
        if self.of_leaf.len() <= leaf {
            self.of_leaf.resize_with(leaf + 1, Box::default);
        }
        self.of_leaf[leaf] = found.into();
    }
}
