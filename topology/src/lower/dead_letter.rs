//! `dead_letter`.

use super::{Context, Keys};
use crate::model::{DeadLetter, Kind};

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> Kind {
    let topic = keys.get("topic").map(|node| cx.topic(Some(node)));
    let retention = keys.get("retention").and_then(|node| cx.lasting(node));
    Kind::DeadLetter(DeadLetter { topic, retention })
}
