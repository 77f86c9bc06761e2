// What the caches say of themselves: their state, when they wrote last, and the figures of their kind.

function cacheView() {
  const none = card("Cache", el("p", { class: "empty" }, "This topology has no cache."));
  const cards_ = el("div", { class: "caches" });
  const caches = () => [...facts.actors.values()].filter((actor) => actor.kind === "redis_cache");
  const update = () => {
    none.hidden = caches().length > 0;
    keyed(cards_, caches(), (actor) => actor.name, (actor) => {
      const lines = el("dl", { class: "facts" }), figures = el("dl", { class: "facts" }), empty = el("p", { class: "empty" });
      const node = card(actor.name, lines, el("h3", {}, "Figures"), empty, figures);
      return Object.assign(node, { lines, figures, empty });
    }, (node, actor) => {
      factList(node.lines, [
        ["State", stateWords(actor.state) + (actor.reason ? ": " + actor.reason : "")],
        ["Records", perSecond(rateOf(actor))],
        ["Last write", actor.last_write_us ? span(facts.since(actor.last_write_us)) + " ago" : "none yet"],
        ["Last answer", actor.last_contact_us ? span(facts.since(actor.last_contact_us)) + " ago" : "none yet"],
        ["Input", percent(fillOf(actor)) + " full"],
      ]);
      const figures = actor.figures ?? [];
      text(node.empty, figures.length ? "" : "It gives no figures of its own here.");
      node.empty.hidden = figures.length > 0;
      factList(node.figures, figures.slice(0, 60).map((figure) => [figureName(figure), /ratio/.test(figure.name) ? percent(figure.value) : short(figure.value)]));
    });
  };
  return { nodes: [none, cards_], update };
}
