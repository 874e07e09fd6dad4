// Keeps the page up to date, and helps where HTML alone is less handy. Every page works without it.
"use strict";

const main = document.getElementById("main");
const announce = document.getElementById("announce");

// What a screen reader should hear of when it changes.
const pageText = () => [...main.querySelectorAll("h1, [role=status]")].map((it) => it.textContent.trim()).join(". ");

// Whether somebody is in the middle of something that a new page would take away.
const inUse = () => {
  const active = document.activeElement;
  const typed = active && main.contains(active) && active.matches("input:not([type=range]), textarea, select");
  return typed || main.querySelector("[data-changed]") || !getSelection().isCollapsed;
};

async function load(url) {
  const answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (inUse()) return;
  // Signed out, or an error: the browser shows what the server says of it.
  if (answer.redirected || !answer.ok) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (!fresh || inUse()) return;
  const before = pageText();
  const open = [...main.querySelectorAll("details")].map((it) => it.open);
  const focused = document.activeElement?.id || document.activeElement?.getAttribute("href");
  main.replaceChildren(...fresh.childNodes);
  main.querySelectorAll("details").forEach((it, at) => { it.open = open[at] ?? it.open; });
  if (focused) (document.getElementById(focused) || main.querySelector(`[href="${CSS.escape(focused)}"]`))?.focus();
  document.title = page.title;
  Object.assign(document.body.dataset, page.body.dataset);
  dress();
  if (pageText() !== before) announce.textContent = pageText();
}

let changes = null;
let missed = false;

function follow() {
  if (changes || document.hidden || !("live" in document.body.dataset)) return;
  changes = new EventSource(`/console/live?since=${document.body.dataset.live}`);
  changes.addEventListener("change", () => load(location.href).catch(() => {}));
  // After a break nobody knows what was missed.
  changes.addEventListener("open", () => { if (missed) { missed = false; load(location.href).catch(() => {}); } });
  changes.addEventListener("error", () => {
    missed = true;
    if (changes.readyState !== EventSource.CLOSED) return;
    // The session is over, or as many pages as may be are kept up to date: loading the page shows which.
    changes = null;
    load(location.href).catch(() => {});
    setTimeout(follow, 15000);
  });
}

// A page that nobody sees takes no connection.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { changes?.close(); changes = null; missed = true; } else follow();
});
addEventListener("pagehide", () => { changes?.close(); changes = null; });

// What belongs to the content, each time it is new.
function dress() {
  for (const button of main.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.onclick = async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      announce.textContent = "Copied";
      button.textContent = "Copied";
    };
  }
  for (const field of main.querySelectorAll("form[method=post] input:not([type=hidden]), form[method=post] select, form[method=post] textarea")) {
    field.oninput = () => { field.dataset.changed = ""; };
  }
  for (const slider of main.querySelectorAll("[data-slider]")) {
    const range = slider.querySelector("input");
    range.oninput = () => { slider.querySelector("output").textContent = range.value; };
    range.onchange = () => {
      const url = new URL(slider.action);
      url.search = new URLSearchParams(new FormData(slider));
      url.hash = "";
      history.replaceState(null, "", url);
      load(url.href).catch(() => {});
    };
  }
  for (const form of main.querySelectorAll("[data-try], [data-try-token]")) form.hidden = false;
  for (const form of main.querySelectorAll("[data-try-token]")) form.onsubmit = (event) => event.preventDefault();
  for (const form of main.querySelectorAll("[data-try]")) form.onsubmit = (event) => { event.preventDefault(); tryOut(form); };
}

async function tryOut(form) {
  const shown = form.querySelector("pre");
  const body = form.elements.body?.value;
  const headers = { "X-Auth-Token": document.getElementById("api-token").value };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  shown.hidden = false;
  try {
    const answer = await fetch(form.elements.path.value, { method: form.dataset.try, headers, body, credentials: "omit" });
    const text = await answer.text();
    let pretty = text;
    try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* It is no JSON. */ }
    shown.textContent = `${answer.status} ${answer.statusText}\n${pretty.slice(0, 20000)}`;
  } catch (error) {
    shown.textContent = `No answer: ${error.message}`;
  }
}

dress();
follow();
