// Progress while a run is going, one key per field in a conflict, and one per action. Everything works without it too.
"use strict";

const refresh = async () => {
  if (!document.querySelector("[data-going]")) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = page.getElementById("main"), here = document.getElementById("main");
      // Whoever is about to press a button there keeps it.
      if (now && !here.querySelector("button:focus")) here.replaceChildren(...now.childNodes);
    }
  } catch { /* The server is away for a moment; the next look tells. */ }
  setTimeout(refresh, 1000);
};
setTimeout(refresh, 1000);

document.addEventListener("keydown", (event) => {
  const group = event.target.closest?.("fieldset[data-choices]");
  const place = ["1", "2", "3"].indexOf(event.key);
  if (!group || place < 0 || event.target.type === "text" || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  group.querySelectorAll("input[type=radio]")[place].checked = true;
  if (place === 2) return group.querySelector("input[type=text]").focus();
  const groups = [...document.querySelectorAll("fieldset[data-choices]")];
  const next = groups[groups.indexOf(group) + 1];
  const target = next ? next.querySelector("input:checked") ?? next.querySelector("input") : document.querySelector("button[value=merge]");
  target?.focus();
});

// One key per action. They can be switched off, for who speaks to their browser, and do nothing while somebody types.
const OFF = "accord-keys-off", dialog = document.getElementById("keys");
const keyed = () => [...document.querySelectorAll("[data-key]")].filter((one) => one.offsetParent !== null);
const label = (one) => (one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent).replace(/\s+/g, " ").trim();
const showKeys = () => {
  const list = dialog.querySelector("dl");
  list.replaceChildren(...keyed().flatMap((one) => {
    const key = document.createElement("dt"), what = document.createElement("dd"), face = document.createElement("kbd");
    face.textContent = one.dataset.key;
    key.append(face);
    what.textContent = label(one);
    return [key, what];
  }));
  dialog.querySelector("[data-keys-on]").checked = !localStorage.getItem(OFF);
  dialog.showModal();
};
if (dialog) {
  const hint = document.querySelector(".keys-hint");
  hint.hidden = false;
  hint.querySelector("button").addEventListener("click", showKeys);
  dialog.querySelector("[data-keys-on]").addEventListener("change", (event) => {
    if (event.target.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "yes");
  });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input:not([type=checkbox], [type=radio]), select, textarea");
  if (typing && event.key === "Escape") return event.target.blur();
  if (!dialog || dialog.open || typing || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") { event.preventDefault(); return showKeys(); }
  if (localStorage.getItem(OFF) || event.target.closest?.("fieldset[data-choices]")) return;
  const wanted = keyed().find((one) => one.dataset.key === event.key);
  if (!wanted) return;
  event.preventDefault();
  wanted.focus();
  // What cannot be undone takes Enter besides.
  if (wanted.matches("a, button") && !("keyLeads" in wanted.dataset)) wanted.click();
});
