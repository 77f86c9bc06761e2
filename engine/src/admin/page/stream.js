// Server-sent events over fetch, because an EventSource cannot carry a token. It comes back by itself, and resumes after
// the last event it has seen.

const SILENT_AFTER_MS = 4000;
const GIVE_UP_AFTER_MS = 10000;

function follow(path, headers, told) {
  let last = null, waitMs = 500, controller = null, heardAt = performance.now(), again = 0, turn = 0, flowing = false;
  const listen = async () => {
    const mine = ++turn;
    controller = new AbortController();
    const begun = setTimeout(() => controller.abort(), GIVE_UP_AFTER_MS);
    try {
      const asked = { accept: "text/event-stream", ...headers(), ...(last ? { "last-event-id": last } : {}) };
      const answer = await fetch(path, { headers: asked, cache: "no-store", signal: controller.signal });
      if (!answer.ok) throw new Error((await answer.text()).trim() || "it answered " + answer.status);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        clearTimeout(begun);
        if (done) throw new Error("the connection ended");
        const parts = (rest + value).split("\n\n");
        rest = parts.pop();
        heardAt = performance.now();
        flowing = true;
        waitMs = 500;
        for (const part of parts) tell(part);
      }
    } catch (error) {
      clearTimeout(begun);
      if (mine !== turn) return;
      told.lost(error.name === "AbortError" ? "it is silent" : error.message);
      again = setTimeout(listen, waitMs + Math.random() * waitMs);
      waitMs = Math.min(waitMs * 2, 4000);
    }
  };
  const tell = (part) => {
    let name = "message", data = "", id = null;
    for (const line of part.split("\n")) {
      if (line.startsWith("id: ")) last = id = line.slice(4);
      else if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (!data) return;
    // What goes wrong with showing it is no fault of the connection.
    try { told.part(name, JSON.parse(data), id); } catch (error) { reportError(error); }
  };
  // A node that hangs keeps its connections open and says nothing.
  const watch = setInterval(() => {
    const silentMs = performance.now() - heardAt;
    if (silentMs > SILENT_AFTER_MS) told.silent(silentMs / 1000);
    // Each attempt has its own patience; this is for one that began well.
    if (silentMs > GIVE_UP_AFTER_MS && flowing) { flowing = false; controller.abort(); }
  }, 1000);
  listen();
  return {
    // From the beginning: who may see more now has missed something.
    restart() { last = null; turn++; clearTimeout(again); controller.abort(); waitMs = 500; listen(); },
    end() { turn++; clearInterval(watch); clearTimeout(again); controller.abort(); },
  };
}
