// Sources: those found on this host are added by ticking them, others by a form that asks what their engine wants to know.
"use strict";
(() => {
  const { call, say } = window.larder;
  const form = document.querySelector("#source");
  const $ = (selector, root = form) => root.querySelector(selector);
  const part = (engine) => $(`.engine[data-engine="${engine}"]`);
  const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
  const asked = {};

  const engine = $("#engine");
  const settle = () => {
    for (const one of form.querySelectorAll(".engine")) one.hidden = one.dataset.engine !== engine.value;
    $("#address").placeholder = engine.selectedOptions[0].dataset.example;
  };

  const read = () => {
    const its = part(engine.value);
    const source = { Name: $("#source-name").value.trim(), Engine: engine.value, Address: $("#address").value.trim(), Options: {} };
    const password = $("[data-password]", its)?.value;
    if (password) source.Password = password;
    for (const field of its.querySelectorAll("[data-option]")) {
      if (field.value.trim()) source.Options[field.dataset.option] = field.value.trim();
    }
    const exclude = $("[data-exclude]", its);
    if (exclude) {
      source.Exclude = lines(exclude.value);
      source.DefaultExcludes = $("[data-default-excludes]", its).checked;
      source.OneFileSystem = $("[data-one-file-system]", its).checked;
    }
    return source;
  };

  // After it was added its own page says what was found, and which rights are missing.
  const page = (name) => form.dataset.after || `/studio/sources/${encodeURIComponent(name)}`;
  const hand = async (event) => {
    event.preventDefault();
    const trouble = $(".trouble");
    trouble.hidden = true;
    const button = $("button.main");
    button.disabled = true;
    const source = read();
    try {
      if (form.dataset.stored === "true") await call("PUT", `/api/v1/sources/${encodeURIComponent(source.Name)}`, source);
      else await call("POST", "/api/v1/sources", source);
      location.assign(page(source.Name));
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
    button.disabled = false;
  };

  const fill = (source) => {
    engine.value = source.Engine;
    $("#address").value = source.Address;
    $("#source-name").value = source.Name;
    const its = part(source.Engine);
    for (const field of its.querySelectorAll("[data-option]")) field.value = source.Options?.[field.dataset.option] ?? "";
    settle();
    form.scrollIntoView({ block: "start" });
    ($("[data-password]", its) ?? $("#address")).focus();
  };

  const add = async (found) => {
    const button = found.querySelector("button.main");
    button.disabled = true;
    let added = 0;
    let failed = 0;
    for (const box of found.querySelectorAll("input:checked:not(:disabled)")) {
      const row = box.closest("li");
      const outcome = row.querySelector(".outcome");
      outcome.textContent = "is searched…";
      try {
        const { Databases } = await call("POST", "/api/v1/sources", JSON.parse(box.dataset.source));
        outcome.textContent = `added: ${Databases.length} ${Databases.length === 1 ? "database" : "databases"}`;
        box.disabled = true;
        added += 1;
      } catch (error) {
        failed += 1;
        outcome.textContent = error.message;
        const more = document.createElement("button");
        more.type = "button";
        more.textContent = "Fill in what is missing";
        more.addEventListener("click", () => fill(JSON.parse(box.dataset.source)));
        outcome.append(" ", more);
      }
    }
    button.disabled = false;
    if (added && !failed) location.assign(form.dataset.after || "/studio/sources");
    else if (!added && !failed) say("Tick what is to be added.", true);
  };

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "found-form") return;
    event.preventDefault();
    add(event.target);
  });
  document.addEventListener("change", ({ target }) => { asked[target.id] = true; });
  engine.addEventListener("change", settle);
  // A name is proposed as long as nobody wrote one.
  $("#address").addEventListener("input", () => {
    const name = $("#source-name");
    if (form.dataset.stored === "true" || asked["source-name"]) return;
    const isPath = ["files", "sqlite"].includes(engine.value);
    const last = isPath ? $("#address").value.trim().replace(/\/+$/, "").split("/").pop() : engine.value;
    name.value = last.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "");
  });
  form.addEventListener("submit", hand);
  settle();
})();
