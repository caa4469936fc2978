// Keeps the page up to date. Without it the page is whole all the same, and reloads itself now and then.
"use strict";
(() => {
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  const size = (bytes) => {
    if (bytes < 1024) return `${bytes} B`;
    let unit = -1;
    do { bytes /= 1024; unit += 1; } while (bytes >= 1023.5 && unit < units.length - 1);
    return `${bytes < 99.95 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
  };
  const length = (seconds) =>
    seconds < 60 ? `${Math.ceil(seconds)} s` : seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

  const describe = (operation) => {
    const { BytesDone, BytesTotal, ItemsDone, Current } = operation.Progress;
    const parts = [];
    const done = BytesTotal > 0 ? Math.min(BytesDone, BytesTotal) : BytesDone;
    const seconds = (Date.now() - Date.parse(operation.Started)) / 1000;
    const rate = seconds > 1 ? done / seconds : 0;
    if (BytesTotal > 0) parts.push(`${Math.floor((done * 100) / BytesTotal)} %`, `${size(done)} of ${size(BytesTotal)}`);
    else if (done > 0) parts.push(size(done));
    if (rate > 0) parts.push(`${size(Math.round(rate))}/s`);
    if (rate > 0 && BytesTotal > done) parts.push(`${length((BytesTotal - done) / rate)} left`);
    if (ItemsDone > 0) parts.push(`${ItemsDone} ${ItemsDone === 1 ? "item" : "items"}`);
    if (Current) parts.push(Current.length > 60 ? `…${Current.slice(-60)}` : Current);
    return parts.join(" · ") || "begins";
  };

  // The whole page is asked for again at most once a second, and not while somebody marks text in it.
  let planned = 0;
  const refresh = (delay = 400) => { planned ||= setTimeout(replace, delay); };
  const replace = async () => {
    planned = 0;
    if (!getSelection().isCollapsed || document.hidden) return refresh(2000);
    try {
      const answer = await fetch("/", { cache: "no-store" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
      document.title = fresh.title;
    } catch { /* the server is away; the stream says when it is back */ }
  };

  const show = (operation) => {
    const row = document.querySelector(`[data-operation="${operation.Id}"]`);
    if (!row || operation.Status !== "InProgress" || row.dataset.status !== "running") return refresh();
    const bar = row.querySelector("progress");
    const { BytesDone, BytesTotal } = operation.Progress;
    if (BytesTotal > 0) { bar.max = BytesTotal; bar.value = Math.min(BytesDone, BytesTotal); }
    row.querySelector("p").textContent = describe(operation);
  };

  const events = new EventSource("/api/v1/events");
  events.addEventListener("operation", (event) => show(JSON.parse(event.data)));
  events.addEventListener("resync", () => refresh());
  events.addEventListener("open", () => refresh());
  setInterval(() => refresh(), 30000);
})();
