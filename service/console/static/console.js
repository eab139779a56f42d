// Progress while a run is going, and one key per field in a conflict. Everything works without it too.
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
