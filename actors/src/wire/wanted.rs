//! What is asked for of a message, as a tree of steps.

use crate::json::Step;
use std::collections::BTreeSet;

/// A value that somebody asks for, or for something below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All of it.
    whole: bool,
    below: Vec<(Step, Wanted)>,
    /// Of every element or member.
    each: Option<Box<Wanted>>,
}

impl Wanted {
    /// All of a value.
    pub fn everything() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Asks for all of what lies at `steps`.
    pub fn add(&mut self, steps: &[Step]) {
        self.at(steps).whole = true;
    }

    /// Asks for `wanted` of every element or member of what lies at `steps`.
    pub fn add_each(&mut self, steps: &[Step], wanted: &Wanted) {
        let at = self.at(steps);
        // Whether it is there at all, and what it is, has to be seen even where nothing in it is asked for.
        at.each.get_or_insert_default().merge(wanted);
    }

    fn at(&mut self, steps: &[Step]) -> &mut Self {
        let mut at = self;
        for step in steps {
            let known = at.below.iter().position(|(known, _)| known == step);
            let place = known.unwrap_or_else(|| {
                at.below.push((step.clone(), Self::default()));
                at.below.len() - 1
            });
            at = &mut at.below[place].1;
        }
        at
    }

    /// Asks for all that `other` asks for, too.
    pub fn merge(&mut self, other: &Wanted) {
        self.whole |= other.whole;
        for (step, below) in &other.below {
            self.at(std::slice::from_ref(step)).merge(below);
        }
        if let Some(each) = &other.each {
            self.each.get_or_insert_default().merge(each);
        }
    }

    /// What is asked for of the member of that name; `None` = it may be passed over.
    pub fn member(&self, name: &str) -> Option<Wanted> {
        self.child(|step| matches!(step, Step::Member(known) | Step::Either(known, _) if known == name))
    }

    /// What is asked for of the element at `index`.
    pub fn element(&self, index: u32) -> Option<Wanted> {
        self.child(|step| matches!(step, Step::Element(known) | Step::Either(_, known) if *known == index))
    }

    /// Of every element or member, if all of them are asked for.
    pub fn each(&self) -> Option<Wanted> {
        if self.whole {
            return Some(Self::everything());
        }
        self.each.as_deref().cloned()
    }

    /// The elements that are asked for one by one, in their order.
    pub fn elements(&self) -> BTreeSet<u32> {
        let index = |step: &Step| match step {
            Step::Element(index) | Step::Either(_, index) => Some(*index),
            Step::Member(_) => None,
        };
        self.below.iter().filter_map(|(step, _)| index(step)).collect()
    }

    /// The members that are asked for by name.
    pub fn members(&self) -> BTreeSet<String> {
        let name = |step: &Step| match step {
            Step::Member(name) | Step::Either(name, _) => Some(name.clone()),
            Step::Element(_) => None,
        };
        self.below.iter().filter_map(|(step, _)| name(step)).collect()
    }

    /// Whether the same is asked for of every element or member.
    pub fn is_even(&self) -> bool {
        self.whole || self.below.is_empty()
    }

    fn child(&self, is: impl Fn(&Step) -> bool) -> Option<Wanted> {
        let mut found = self.each();
        for (_, below) in self.below.iter().filter(|(step, _)| is(step)) {
            found.get_or_insert_default().merge(below);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(path: &str) -> Vec<Step> {
        path.split('/').skip(1).map(Step::from_token).collect()
    }

    #[test]
    fn what_is_asked_for_is_what_a_path_leads_to_and_nothing_beside_it() {
        let mut wanted = Wanted::default();
        wanted.add(&steps("/data/price"));
        wanted.add(&steps("/list/2/x"));
        let data = wanted.member("data").expect("on the way");
        assert_eq!(data.member("price"), Some(Wanted::everything()));
        assert_eq!((data.member("qty"), wanted.member("other"), data.each()), (None, None, None));
        let list = wanted.member("list").expect("on the way");
        assert_eq!(list.elements().into_iter().collect::<Vec<_>>(), [2]);
        assert!(list.element(2).expect("asked for").member("x").is_some() && list.element(1).is_none());
        assert!(Wanted::everything().member("any").expect("all").element(7).is_some());
    }

    #[test]
    fn what_is_exploded_is_seen_though_nothing_in_it_is_asked_for() {
        let mut wanted = Wanted::default();
        wanted.add_each(&steps("/rows"), &Wanted::default());
        let rows = wanted.member("rows").expect("asked for");
        assert_eq!(rows.each(), Some(Wanted::default()));
        let mut element = Wanted::default();
        element.add(&steps("/p"));
        wanted.add_each(&steps("/rows"), &element);
        let each = wanted.member("rows").and_then(|rows| rows.element(5)).expect("every element");
        assert!(each.member("p").is_some() && each.member("q").is_none());
    }
}
