// Switches a page between its languages, of which the style sheet shows one.
"use strict";

/** Shows the page in a language. */
function speak(language) {
  document.documentElement.lang = language;
  for (const button of document.querySelectorAll(".languages button")) {
    button.setAttribute("aria-pressed", String(button.value === language));
  }
  for (const element of document.querySelectorAll("[data-label-en]")) {
    element.setAttribute("aria-label", element.dataset[language === "vi" ? "labelVi" : "labelEn"]);
  }
  for (const option of document.querySelectorAll("option[data-en]")) {
    option.textContent = option.dataset[language];
  }
  document.title = document.querySelector("title").dataset[language] ?? document.title;
  dispatchEvent(new CustomEvent("language"));
}

for (const button of document.querySelectorAll(".languages button")) {
  button.addEventListener("click", () => speak(button.value));
}
speak(document.documentElement.lang);
