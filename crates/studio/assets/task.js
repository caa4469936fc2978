// The editor of a server-wide task: reads the form, has it said what it means while one types, hands the task in.
"use strict";
(() => {
  const form = document.querySelector("#task");
  const { call, parts } = window.larder;
  const $ = (selector, root = form) => root.querySelector(selector);
  const all = (selector, root = form) => [...root.querySelectorAll(selector)];
  const value = (id) => $(`#${id}`).value.trim();
  const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
  const number = (id) => (value(id) === "" ? null : Number(value(id)));
  const stored = JSON.parse(form.dataset.task);
  const BLOCKS = all("template[data-blank]").map((blank) => blank.dataset.blank);
  const MASK = "****";

  // What was stored of a destination that the form does not ask for stays: a program that says where it is.
  const storedBlock = (key, name) =>
    (name ? (stored.Destinations ?? []).find((one) => one.Name === name) : stored)?.[key];
  const readBlock = (card) => {
    const block = { ...storedBlock(card.dataset.block, card.dataset.name) };
    let says = Boolean(block.GetBackupConfigurationScript);
    for (const field of all("[data-key]", card)) {
      const text = field.value.trim();
      block[field.dataset.key] =
        field.dataset.form === "check" ? field.checked
        : field.dataset.form === "lines" ? lines(text)
        : text === "" ? null
        : field.dataset.form === "number" ? Number(text) : text;
      says ||= field.dataset.form !== "check" && text !== "";
    }
    return says ? block : null;
  };
  const further = (card) => card.querySelector("[data-further]").value.trim();

  const readDestinations = () => {
    const read = { Destinations: [] };
    for (const key of BLOCKS) read[key] = null;
    for (const card of all("#destinations > .destination")) {
      const block = readBlock(card);
      const name = further(card);
      if (!block) continue;
      if (name) read.Destinations.push({ Name: name, [card.dataset.block]: block });
      else read[card.dataset.block] = block;
    }
    return read;
  };

  const readSchedules = () =>
    lines(value("further")).map((line) => {
      const [, kind, when] = line.match(/^(?:(full|incremental)\s*:)?\s*(.*)$/i);
      const Backup = kind?.toLowerCase() === "full" ? "Full" : "Incremental";
      const before = (stored.Schedules ?? []).find((one) => one.When === when && one.Backup === Backup);
      return { ...before, When: when, Backup };
    });

  const readEncryption = () => {
    const mode = $('[name="encryption"]:checked').value;
    if (mode === "UseProvidedKey") return { EncryptionMode: mode, Key: value("key") || null };
    if (mode === "UseDatabaseKey" && !stored.BackupEncryptionSettings) return null;
    return { EncryptionMode: mode, Key: null };
  };

  const read = () => {
    const task = { ...structuredClone(stored), ...readDestinations() };
    task.Name = value("name");
    task.FullBackupFrequency = value("full") || null;
    task.IncrementalBackupFrequency = value("incremental") || null;
    task.Schedules = readSchedules();
    task.TimeZone = value("zone") || null;
    const [From, To] = [value("window-from"), value("window-to")];
    task.BackupWindow = From || To ? { From, To } : null;
    task.CatchUp = value("catch-up");
    task.ExcludedDatabases = lines(value("excluded"));
    const ticked = (name) => all(`[name="${name}"]:checked`).map((box) => box.value);
    const selector = { Engines: ticked("engine"), Sources: ticked("source"), Patterns: lines(value("patterns")) };
    task.Selector = Object.values(selector).some((list) => list.length) ? selector : null;
    task.BackupEncryptionSettings = readEncryption();
    const policy = { ...stored.RetentionPolicy, MinimumBackupAgeToKeep: value("keep-age") || null };
    for (const unit of ["Last", "Hourly", "Daily", "Weekly", "Monthly", "Yearly"]) {
      policy[`Keep${unit}`] = number(`keep-${unit.toLowerCase()}`);
    }
    const keeps = Object.values(policy).some((it) => it !== null && it !== undefined && it !== false);
    task.RetentionPolicy = keeps ? policy : null;
    task.MinimumBackupsToKeep = number("minimum");
    return task;
  };

  // Destinations: added, named apart where there are several of a kind, tried, taken out.
  const settle = () => {
    const counts = {};
    for (const card of all("#destinations > .destination")) {
      const number = (counts[card.dataset.block] = (counts[card.dataset.block] ?? 0) + 1);
      const isFurther = card.dataset.name !== "" || number > 1;
      const name = card.querySelector("[data-further]");
      card.querySelector(".further-name").hidden = !isFurther;
      name.required = isFurther;
      // A stored one is known by its name, and its secrets with it.
      name.readOnly = card.dataset.name !== "";
      if (!isFurther) name.value = "";
      else if (!name.value) name.value = `${card.querySelector("h3").textContent.split(":")[0].trim()} ${number}`;
    }
  };
  let added = 0;
  $("#add").addEventListener("click", () => {
    const blank = $(`template[data-blank="${value("kind")}"]`).content.cloneNode(true);
    const card = blank.querySelector(".destination");
    added += 1;
    for (const name of ["id", "for", "aria-describedby"]) {
      for (const part of all(`[${name}]`, card)) part.setAttribute(name, part.getAttribute(name).replace(/^blank/, `new${added}`));
    }
    $("#destinations").append(card);
    settle();
    card.querySelector("input, textarea").focus();
  });
  $("#destinations").addEventListener("click", async ({ target }) => {
    const card = target.closest(".destination");
    if (target.matches("[data-remove]")) {
      card.remove();
      settle();
      say();
    } else if (target.matches("[data-test]")) {
      target.disabled = true;
      const block = readBlock(card);
      const place = card.querySelector(".outcome");
      place.textContent = "Tries to write, list, read and delete a small object…";
      const given = block ? { [card.dataset.block]: { ...block, Disabled: false } } : {};
      await parts("/studio/destinations/test", given, place);
      target.disabled = false;
    }
  });

  // The key of the task's own: made here, shown once.
  const key = $("#key");
  const checkKey = () => {
    const own = $('[name="encryption"]:checked').value === "UseProvidedKey";
    $("#own-key").hidden = !own;
    const isNew = own && key.value !== "" && key.value !== MASK;
    $("#stored-key").hidden = !isNew;
    $("#has-stored-key").required = isNew;
    key.required = own;
  };
  $("#encryption").addEventListener("input", checkKey);
  $("#make-key").addEventListener("click", () => {
    key.value = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
    $("#has-stored-key").checked = false;
    checkKey();
    key.select();
  });

  let timer = 0;
  const say = (wait = 250) => {
    clearTimeout(timer);
    timer = setTimeout(() => parts("/studio/tasks/draft", read()), wait);
  };
  form.addEventListener("input", () => say());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const trouble = document.querySelector("#trouble");
    trouble.hidden = true;
    try {
      await call("PUT", "/api/v1/tasks", read());
      location.assign("/studio/tasks");
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
      trouble.scrollIntoView({ block: "nearest" });
    }
  });
  settle();
  checkKey();
})();
