// Getting started: the plan and its place become the first task; the first backup begins once the key is in a safe place.
"use strict";
(() => {
  const { call, parts } = window.larder;
  const form = document.querySelector("#plan");
  if (!form) return;
  const $ = (selector) => form.querySelector(selector);
  const read = () => {
    const folder = $("#folder").value.trim();
    return { ...JSON.parse($('[name="plan"]:checked').value), LocalSettings: folder ? { FolderPath: folder } : null };
  };
  form.addEventListener("change", (event) => {
    if (event.target.name === "plan") parts("/studio/tasks/draft", read());
  });
  $("[data-test]").addEventListener("click", async ({ target }) => {
    target.disabled = true;
    const place = $(".outcome");
    place.textContent = "Tries to write, list, read and delete a small object…";
    await parts("/studio/destinations/test", { LocalSettings: read().LocalSettings }, place);
    target.disabled = false;
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const trouble = $(".trouble");
    trouble.hidden = true;
    try {
      await call("PUT", "/api/v1/tasks", read());
      location.assign("/studio/start");
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  });
})();
