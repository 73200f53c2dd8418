import { announce } from "./announce.js";

export function startCopying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(document.getElementById(button.dataset.copy), button));
  }
}

async function copy(source, button) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    tell(button, "Copied");
  } catch {
    // Over plain HTTP from another machine the browser gives pages no clipboard.
    getSelection().selectAllChildren(source);
    tell(button, "Selected");
  }
}

function tell(button, outcome) {
  announce(outcome);
  button.textContent = outcome;
  button.addEventListener("blur", () => (button.textContent = "Copy"), { once: true });
}
