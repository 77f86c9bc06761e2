//! `redis_cache`.

use super::{Context, Keys};
use crate::model::{Kind, RedisCache};
use std::time::Duration;

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> Kind {
    Kind::RedisCache(RedisCache {
        key: keys.get("key").and_then(|node| cx.template(node)).unwrap_or_default(),
        value: keys.get("value").map_or_else(Vec::new, |node| cx.references(node)),
        order_by: keys.get("order_by").and_then(|node| cx.nonempty(node)).unwrap_or_default(),
        ttl: keys.get("ttl").and_then(|node| cx.lasting(node)),
        delete_when: keys.get("delete_when").and_then(|node| cx.expr(node)),
        ttl_deleted: keys
            .get("ttl_deleted")
            .and_then(|node| cx.lasting(node))
            .unwrap_or(Duration::from_secs(600)),
    })
}
