// What HTML and htmx cannot do: copying, the user's time zone, and no refresh while nobody looks.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`cronfire_zone=${zone}`)) { // people travel
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `cronfire_zone=${zone}; path=/dashboard; max-age=31536000; samesite=lax${secure}`;
}

// What a form came to is said once, and not again by "reload", "back" or a bookmark.
const address = new URL(location.href);
if (address.searchParams.has("message")) {
  address.searchParams.delete("message");
  history.replaceState(null, "", address);
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
const ANSWERED_WITHIN_MS = 40_000; // "Run now" waits half a minute for the run
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

// A link that signs in once is used when somebody looks at it, not when a page is read in advance.
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
    const isInUse = part?.querySelector("details[open], input[form]:checked, :focus-visible");
    if (part?.id === "live" && (document.hidden || isInUse)) event.preventDefault();
  });
  // A page that could not be refreshed says so; one whose task is gone, or is another page now, is loaded anew.
  const stale = document.getElementById("stale");
  document.body.addEventListener("htmx:afterRequest", (event) => {
    const { target, xhr } = event.detail;
    if (target?.id === "live") stale.hidden = xhr.status > 0 && xhr.status < 500 && xhr.status !== 429;
  });
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (target?.id !== "live" || xhr.status >= 500 || xhr.status === 429) return;
    if (xhr.status >= 400 || !xhr.responseText.includes('id="live"')) {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });
});
