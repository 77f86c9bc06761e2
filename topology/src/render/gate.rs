//! A gate as it would be written.

use super::duration;
use super::yaml::Map;
use crate::model::{CountRule, GateRules, QualityGate};

pub(super) fn quality_gate(part: &mut Map, gate: &QualityGate) {
    part.texts("by", gate.by.iter().map(|field| field.value.as_str()));
    part.text("every", &duration(gate.every.value));
    part.text("mode", gate.mode.word());
    part.text("window", &duration(gate.window));
    part.put("watch_at", gate.watch_at);
    part.put("rows_min", gate.rows_min);
    part.put("keys_max", gate.keys_max);
    part.part("rules", rules(&gate.rules));
    let overrides = gate.overrides.iter().map(|one| {
        let mut part = Map::default();
        part.text("name", &one.name.value);
        part.text("when", &one.when.text);
        part.part("rules", rules(&one.rules));
        part
    });
    part.list("overrides", overrides.collect());
}

fn rules(rules: &GateRules) -> Map {
    let mut part = Map::default();
    // Where an override leaves it out, it is the gate's.
    let stale_after = Some(rules.stale_after).filter(|stale_after| !stale_after.is_zero());
    part.maybe("stale_after", stale_after.map(duration).as_deref());
    part.some("gap", rules.gap.as_ref().map(count));
    part.some("repeat", rules.repeat.as_ref().map(count));
    if let Some(share) = &rules.out_of_order {
        part.put("out_of_order", share.value);
    }
    part.some(
        "late",
        rules.late.as_ref().map(|late| {
            let mut part = Map::default();
            part.text("after", &duration(late.after));
            part.put("share", late.share);
            part
        }),
    );
    part.some(
        "price_band",
        rules.price_band.as_ref().map(|band| {
            let mut part = Map::default();
            part.text("field", &band.field.value);
            part.put("within", band.within);
            part.put("median_of", band.median_of);
            part
        }),
    );
    part.some(
        "crossed",
        rules.crossed.as_ref().map(|crossed| {
            let mut part = Map::default();
            part.text("bid", &crossed.bid.value);
            part.text("ask", &crossed.ask.value);
            part.put("limit", crossed.limit);
            part
        }),
    );
    part.some(
        "frozen",
        rules.frozen.as_ref().map(|frozen| {
            let mut part = Map::default();
            part.text("field", &frozen.field.value);
            if let Some(rows) = frozen.rows {
                part.put("rows", rows);
            }
            part.maybe("for", frozen.lasting.map(duration).as_deref());
            part
        }),
    );
    part.maybe("clock_skew", rules.clock_skew.as_ref().map(|skew| duration(skew.value)).as_deref());
    if let Some(share) = rules.rate_collapse {
        part.put("rate_collapse", share);
    }
    let mut nulls = Map::default();
    for (field, share) in &rules.nulls {
        nulls.put(&field.value, *share);
    }
    part.some("nulls", (!rules.nulls.is_empty()).then_some(nulls));
    part
}

fn count(rule: &CountRule) -> Map {
    let mut part = Map::default();
    part.text("field", &rule.field.value);
    part.put("limit", rule.limit);
    part
}
