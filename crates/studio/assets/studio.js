// Keeps pages up to date and does what buttons say, by the same interface as the command line. Without it every page can
// still be read.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  const size = (bytes) => {
    if (bytes < 1024) return `${bytes} B`;
    let unit = -1;
    do { bytes /= 1024; unit += 1; } while (bytes >= 1023.5 && unit < units.length - 1);
    return `${bytes < 99.95 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
  };
  const length = (seconds) =>
    seconds < 60 ? `${Math.ceil(seconds)} s` : seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

  const describe = ({ BytesDone, BytesTotal, ItemsDone, Current, BytesPerSecond, SecondsLeft }) => {
    const parts = [];
    const done = BytesTotal > 0 ? Math.min(BytesDone, BytesTotal) : BytesDone;
    if (BytesTotal > 0) parts.push(`${Math.floor((done * 100) / BytesTotal)} %`, `${size(done)} of ${size(BytesTotal)}`);
    else if (done > 0) parts.push(size(done));
    if (BytesPerSecond > 0) parts.push(`${size(BytesPerSecond)}/s`);
    if (SecondsLeft != null) parts.push(`${length(SecondsLeft)} left`);
    if (ItemsDone > 0) parts.push(`${ItemsDone.toLocaleString("en")} ${ItemsDone === 1 ? "item" : "items"}`);
    if (Current) parts.push(Current.length > 60 ? `…${Current.slice(-60)}` : Current);
    return parts.join(" · ") || "begins";
  };

  const say = (text, bad = false) => {
    const said = $("#said");
    said.textContent = text;
    said.classList.toggle("bad", bad);
    clearTimeout(say.timer);
    if (!bad) say.timer = setTimeout(() => { said.textContent = ""; }, 6000);
  };

  const call = async (method, url, body) => {
    const answer = await fetch(url, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    let value = null;
    try { value = text ? JSON.parse(text) : null; } catch { /* not JSON: the text itself says what is wrong */ }
    if (!answer.ok) throw new Error(value?.Error?.Message ?? (text || answer.statusText));
    return value;
  };

  // The page is asked for again at most once a second, and never while somebody types, chooses or marks text in it.
  let planned = 0;
  const refresh = (delay = 400) => { planned ||= setTimeout(replace, delay); };
  const busy = () =>
    document.hidden || !getSelection().isCollapsed || $("dialog[open]") || $("form.form") ||
    document.activeElement?.matches("input, select, textarea");
  const replace = async () => {
    planned = 0;
    if (busy()) return refresh(3000);
    try {
      // What lies in a backup never changes, and takes long to read: such a page is told only what runs.
      const still = $("[data-still]");
      const answer = await fetch(still ? "/studio/settings" : location.href, { cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (busy() || !fresh.querySelector("main")) return;
      // What was loaded afterwards stays until it is loaded anew.
      for (const kept of document.querySelectorAll("[data-load]")) {
        const next = fresh.querySelector(`[data-load="${kept.dataset.load}"]`);
        if (next) next.replaceWith(kept.cloneNode(true));
      }
      const focused = document.activeElement?.dataset?.post;
      $("#foot").replaceWith(fresh.querySelector("#foot"));
      if (still) return;
      $("main").replaceWith(fresh.querySelector("main"));
      document.title = fresh.title;
      if (focused) $(`[data-post="${focused}"]`)?.focus({ preventScroll: true });
    } catch { /* the server is away; the stream says when it is back */ }
  };

  const load = async (place) => {
    try {
      const answer = await fetch(place.dataset.load);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = fresh.querySelector("#points, #found, #rights") ?? fresh.querySelector(".notice");
      if (found) { found.removeAttribute("id"); place.replaceChildren(found); }
    } catch { /* the link in it still leads there */ }
  };

  const show = (operation) => {
    const rows = document.querySelectorAll(`[data-operation="${operation.Id}"]`);
    if (!rows.length || operation.Status !== "InProgress") {
      refresh();
      if (operation.Status !== "InProgress" && operation.Status !== "Queued") setTimeout(loadAll, 600);
      return;
    }
    for (const row of rows) {
      if (row.dataset.status !== "running") return refresh();
      const bar = $("progress", row);
      const { BytesDone, BytesTotal } = operation.Progress;
      if (bar && BytesTotal > 0) { bar.max = BytesTotal; bar.value = Math.min(BytesDone, BytesTotal); }
      const words = $(".progress", row);
      if (words) words.textContent = describe(operation.Progress);
    }
  };
  const loadAll = () => document.querySelectorAll("[data-load]").forEach(load);

  // Pieces that the server draws anew from what stands in a form: put into one place, or each where its like is.
  let asked = 0;
  const parts = async (url, body, place) => {
    const number = place ? 0 : (asked += 1);
    try {
      const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (place) return place.replaceChildren(...fresh.body.childNodes);
      // Somebody typed on in the meantime: a later answer comes.
      if (number !== asked) return;
      for (const part of fresh.querySelectorAll("body > [id]")) document.getElementById(part.id)?.replaceWith(part);
    } catch (error) {
      say(error.message, true);
    }
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      say("The browser does not let pages copy; mark the text and copy it by hand.", true);
    }
  };

  const ask = (text, more) => new Promise((answered) => {
    const dialog = $("#ask");
    $("#ask-text").textContent = text;
    $("#ask-more").replaceChildren(...(more ? [more] : []));
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => answered(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });

  const go = (where, value) => {
    if (!where) return refresh(100);
    const id = value?.Operations?.[0] ?? value?.Id;
    location.assign(where.endsWith("/") ? (id == null ? where.slice(0, -1) : `${where}${id}`) : where);
  };

  const press = async (button) => {
    const { post, method = "POST", body, ask: question, then } = button.dataset;
    if (question && !(await ask(question))) return;
    button.disabled = true;
    try {
      const value = await call(method, post, body ? JSON.parse(body) : undefined);
      say("Done.");
      go(then, value);
    } catch (error) {
      say(error.message, true);
    }
    button.disabled = false;
  };

  const delay = async (id) => {
    const label = document.createElement("label");
    label.textContent = "for ";
    const choice = document.createElement("select");
    for (const [value, words] of [["00:15:00", "15 minutes"], ["01:00:00", "1 hour"], ["04:00:00", "4 hours"], ["12:00:00", "12 hours"], ["1.00:00:00", "1 day"]]) {
      choice.append(new Option(words, value, value === "01:00:00", value === "01:00:00"));
    }
    label.append(choice);
    if (!(await ask("Delay this backup? It stops now, frees everything, and goes on later with what is stored already.", label))) return;
    try {
      await call("POST", `/api/v1/operations/${id}/delay`, { Duration: choice.value });
      say("Put off.");
      refresh(300);
    } catch (error) {
      say(error.message, true);
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.post) press(button);
    else if (button.dataset.delay) delay(button.dataset.delay);
    else if ("print" in button.dataset) print();
    else if ("copy" in button.dataset) copy(button.dataset.copy);
    else if ("copyOf" in button.dataset) copy(document.getElementById(button.dataset.copyOf).value);
  });

  // The strips of a list come without words, to be small; the one that somebody points at is asked for with them.
  document.addEventListener("pointerover", async ({ target }) => {
    const strip = target.closest?.("svg[data-strip]");
    if (!strip) return;
    const { strip: database } = strip.dataset;
    delete strip.dataset.strip;
    try {
      const answer = await fetch(`/studio/databases/${encodeURIComponent(database)}/strip`);
      const told = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("svg.strip");
      if (answer.ok && told) strip.replaceWith(told);
    } catch { /* it says all in one sentence, as it is */ }
  });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.json) return;
    event.preventDefault();
    const trouble = $(".trouble", form);
    trouble.hidden = true;
    const body = {};
    for (const [name, value] of new FormData(form)) {
      if (value === "" && "optional" in (form.elements[name]?.dataset ?? {})) continue;
      body[name] = value === "true" ? true : value;
    }
    if (body[form.dataset.askIf] && !(await ask(form.dataset.ask))) return;
    try {
      go(form.dataset.after, await call("POST", form.dataset.json, body));
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  });

  // A form whose numbers are tried out: the picture changes while one types, and the address with it.
  const live = (form) => {
    const place = $(form.dataset.live);
    let timer = 0, asked = 0;
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const url = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
        const mine = ++asked;
        try {
          const answer = await fetch(url);
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(form.dataset.live);
          if (!fresh || mine !== asked) return;
          place.replaceChildren(...fresh.childNodes);
          history.replaceState(null, "", url);
        } catch { /* the server is away; the button says so when it is pressed */ }
      }, 300);
    });
  };
  document.querySelectorAll("form[data-live]").forEach(live);

  window.larder = { call, say, parts };
  loadAll();
  const events = new EventSource("/api/v1/events");
  events.addEventListener("operation", (event) => show(JSON.parse(event.data)));
  events.addEventListener("resync", () => refresh());
  // What ended between the making of this page and the opening of the stream is in no event.
  let opened = false;
  events.addEventListener("open", () => { if (opened || $("[data-operation]")) refresh(); opened = true; });
  setInterval(() => refresh(), 60000);
})();
