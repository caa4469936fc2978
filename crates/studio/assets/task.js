// The editor of a server-wide task: reads the form, shows the next runs while one types, hands the task in.
"use strict";
(() => {
  const form = document.querySelector("#task");
  const value = (id) => form.querySelector(`#${id}`).value.trim();
  const number = (id) => (value(id) === "" ? undefined : Number(value(id)));
  const stored = JSON.parse(form.dataset.task);

  const read = () => {
    const task = structuredClone(stored);
    task.Name = value("name");
    task.FullBackupFrequency = value("full") || null;
    task.IncrementalBackupFrequency = value("incremental") || null;
    task.TimeZone = value("zone") || null;
    task.ExcludedDatabases = value("excluded").split("\n").map((line) => line.trim()).filter(Boolean);
    const engines = [...form.querySelectorAll('[name="engine"]:checked')].map((box) => box.value);
    task.Selector = engines.length || stored.Selector ? { ...stored.Selector, Engines: engines } : null;
    task.LocalSettings = value("folder") ? { ...stored.LocalSettings, FolderPath: value("folder") } : null;
    const policy = { ...stored.RetentionPolicy, MinimumBackupAgeToKeep: value("keep-age") || null };
    for (const unit of ["Last", "Hourly", "Daily", "Weekly", "Monthly", "Yearly"]) {
      policy[`Keep${unit}`] = number(`keep-${unit.toLowerCase()}`) ?? null;
    }
    const keeps = Object.values(policy).some((it) => it !== null && it !== undefined && it !== false);
    task.RetentionPolicy = keeps ? policy : null;
    task.MinimumBackupsToKeep = number("minimum") ?? null;
    return task;
  };

  const runs = form.querySelector("#runs");
  let timer = 0;
  const preview = async () => {
    const zone = value("zone") || form.querySelector("#zone").placeholder;
    let lines;
    try {
      const planned = await window.larder.call("POST", "/api/v1/tasks/preview?count=5", read());
      lines = planned.map(({ Kind, Time }) => {
        const item = document.createElement("li");
        const when = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "short", timeZone: zone }).format(new Date(Time));
        item.textContent = `${when} · ${Kind.toLowerCase()}`;
        return item;
      });
      if (!lines.length) lines = ["It has no moments of its own: it runs when it is asked for."];
    } catch (error) {
      lines = [error.message];
    }
    runs.replaceChildren(...lines.map((line) => {
      if (typeof line !== "string") return line;
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(preview, 250); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const trouble = document.querySelector("#trouble");
    trouble.hidden = true;
    try {
      await window.larder.call("PUT", "/api/v1/tasks", read());
      location.assign("/studio/tasks");
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
      trouble.scrollIntoView({ block: "nearest" });
    }
  });
  preview();
})();
