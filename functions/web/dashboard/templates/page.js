// What HTML and htmx cannot do: copying, the user's time zone, and no refresh while nobody looks.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`cronfire_zone=${zone}`)) { // people travel
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `cronfire_zone=${zone}; path=/dashboard; max-age=31536000; samesite=lax${secure}`;
}

const showCopyButtons = (part) => {
  if (!navigator.clipboard) return; // as on a page that came without TLS
  for (const button of part.querySelectorAll("button[data-copy]")) button.hidden = false;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  const label = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = label; }, 2000);
});

// A second press, while the first is being answered, would run a task or make a key twice.
const ANSWERED_WITHIN_MS = 10_000;
document.addEventListener("submit", (event) => {
  const { dataset, method } = event.target;
  if (method !== "post") return;
  if (dataset.sent) event.preventDefault();
  dataset.sent = "yes";
  setTimeout(() => { delete dataset.sent; }, ANSWERED_WITHIN_MS);
});
window.addEventListener("pageshow", () => { // "back" shows a form as it was left: it has been answered
  for (const form of document.forms) delete form.dataset.sent;
});

// A link that signs in once is used by whoever looks at it, not by what reads pages in advance.
const pressOnceSeen = () => {
  const form = document.querySelector("form[data-press]");
  if (!form || document.hidden || document.prerendering) return;
  delete form.dataset.press;
  form.requestSubmit();
};
for (const name of ["DOMContentLoaded", "visibilitychange", "prerenderingchange"]) {
  document.addEventListener(name, pressOnceSeen);
}

document.addEventListener("DOMContentLoaded", () => {
  showCopyButtons(document);
  document.body.addEventListener("htmx:afterSwap", (event) => showCopyButtons(event.target));
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.target;
    const isPolling = part?.id === "live";
    const isInUse = part?.querySelector("details[open], input[form]:checked, :focus:is(input, select, textarea)");
    if (isPolling && (document.hidden || isInUse)) event.preventDefault();
  });
});
