// The page of a service: asks the run behind it, and shows what it answers.
"use strict";

const form = document.getElementById("ask");
const box = document.getElementById("asked");
const button = form.querySelector("button[type=submit]");
const stop = document.getElementById("stop");
const error = document.getElementById("error");
const notes = document.getElementById("notes");
const written = document.getElementById("written");
const rows = document.getElementById("rows");
const save = document.getElementById("save");
const kind = form.dataset.kind;
const talk = document.getElementById("talk");
const forget = document.getElementById("forget");
const preview = document.getElementById("preview");
const sound = document.getElementById("sound");
const looks = document.getElementById("shown");
// What was said, in order, by a person and the run in turn; it is sent along each time.
let turns = [];
let answered = [];
let asking = null;

/** The options that the form shows, by name. */
function options() {
  const chosen = {};
  for (const input of form.querySelectorAll("[data-option]")) {
    if (input.type === "checkbox") {
      if (input.checked) chosen[input.dataset.option] = true;
    } else if (input.value !== "") {
      const isNumber = input.type === "number";
      chosen[input.dataset.option] = isNumber ? Number(input.value) : input.value;
    }
  }
  return chosen;
}

const language = () => document.documentElement.lang;

/** What columns that conveyor adds are called in Vietnamese. */
const VIETNAMESE = {
  text: "văn bản", answer: "trả lời", predicted: "dự đoán", probability: "xác suất",
  explanation: "vì sao", picture: "ảnh", written: "mạng viết", attention: "nhìn vào đâu",
  audio: "bản ghi", log_probability: "log xác suất",
};

function heading(name) {
  if (language() !== "vi") return name;
  const [, of] = name.match(/^probability of (.*)$/) ?? [];
  return of === undefined ? VIETNAMESE[name] ?? name : `xác suất của ${of}`;
}

/** How many digits behind the comma the numbers of a column have: four digits for the largest. */
function decimals(values) {
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.every(Number.isInteger)) return 0;
  const largest = Math.max(...numbers.map(Math.abs));
  return Math.min(Math.max(3 - Math.floor(Math.log10(largest)), 0), 20);
}

/** The text of a value, with the numerals of the page's language. */
function shown(value, digits) {
  if (value === null) return "–";
  if (Array.isArray(value)) return value.join(" ");
  if (typeof value !== "number") return String(value);
  return value.toLocaleString(language(), {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
}

/** Shows rows as a table; shares of one as bars. */
function tell() {
  rows.replaceChildren();
  save.hidden = answered.length === 0;
  if (answered.length === 0) return;
  const names = Object.keys(answered[0]);
  const head = rows.createTHead().insertRow();
  for (const name of names) {
    const cell = document.createElement("th");
    cell.textContent = heading(name);
    head.append(cell);
  }
  const digits = names.map((name) => decimals(answered.map((answer) => answer[name])));
  const body = rows.createTBody();
  for (const answer of answered) {
    const row = body.insertRow();
    for (const [column, name] of names.entries()) {
      const cell = row.insertCell(), value = answer[name];
      cell.textContent = shown(value, digits[column]);
      if (typeof value === "number") cell.className = "number";
      if (name.startsWith("probability") && typeof value === "number") {
        cell.classList.add("share");
        cell.style.setProperty("--part", `${100 * value}%`);
      }
    }
  }
}

/** Where a file is sent, with its name and the options. */
function addressed(file) {
  const asked = new URLSearchParams({ name: file.name });
  for (const [name, value] of Object.entries(options())) asked.set(name, String(value));
  return `predict?${asked}`;
}

/** What is sent: lines, a table, a prompt or a file. */
function request() {
  if (kind === "file") return [addressed(box.files[0]), box.files[0]];
  if (kind === "speech") return ["speak", { ...options(), text: box.value }];
  if (kind === "prompt") return ["generate", { ...options(), prompt: box.value }];
  if (kind === "conversation") {
    return ["reply", { ...options(), turns: [...turns.slice(-100), box.value.trim()] }];
  }
  if (kind === "lines") {
    const lines = box.value.split("\n").filter((line) => line.trim() !== "");
    return ["predict", { ...options(), lines }];
  }
  return ["predict", box.value.trim() === "" ? {} : box.value];
}

/** Shows a text while it is written. */
async function follow(response) {
  const reader = response.body.getReader(), decoder = new TextDecoder();
  written.hidden = false;
  written.textContent = box.value;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    written.textContent += decoder.decode(value, { stream: true });
  }
}

/** Shows a picture, a video or a recording of this machine. */
function show(file) {
  for (const old of preview.children) URL.revokeObjectURL(old.src);
  const [sort] = file.type.split("/");
  const tag = { image: "img", video: "video", audio: "audio" }[sort];
  preview.hidden = tag === undefined;
  if (tag === undefined) return;
  const element = document.createElement(tag);
  element.src = URL.createObjectURL(file);
  if (tag === "img") element.alt = file.name;
  else element.controls = true;
  preview.replaceChildren(element);
}

/** Plays what was spoken. */
async function play(response) {
  if (sound.src) URL.revokeObjectURL(sound.src);
  sound.src = URL.createObjectURL(await response.blob());
  sound.hidden = false;
}

/** Adds a turn to the conversation, with what is to be said about it. */
function add(text, who, about = "") {
  const turn = document.createElement("li");
  turn.className = who;
  turn.textContent = text;
  if (about !== "") {
    const small = document.createElement("small");
    small.textContent = about;
    turn.append(small);
  }
  talk.append(turn);
  turn.scrollIntoView({ block: "nearest" });
}

/** Shows a reply, further ones in small below it, and keeps it in mind. */
function reply(said, answer) {
  turns.push(said);
  add(said, "person");
  const [first, ...others] = answer.rows.map((row) => Object.values(row).map(
    (value) => typeof value === "number" ? shown(value, 2) : value,
  ).join(" · "));
  if (answer.reply === "") {
    add("…", "run");
  } else {
    turns.push(answer.reply);
    const about = first.slice(answer.reply.length).replace(/^ · /, "");
    add(answer.reply, "run", [about, ...others].filter((text) => text !== "").join("\n"));
  }
  const unknown = answer.unknown.join(" ");
  notes.textContent = unknown === "" ? "" : (
    language() === "vi" ? `Mạng chưa gặp: ${unknown}` : `Never read: ${unknown}`
  );
  box.value = "";
  forget.hidden = false;
  box.focus();
}

async function ask() {
  const said = box.value.trim();
  if ((kind === "conversation" || kind === "file") && said === "") return;
  const [path, content] = request();
  const isText = typeof content === "string", isFile = kind === "file";
  error.textContent = notes.textContent = "";
  asking = new AbortController();
  button.disabled = true;
  stop.hidden = kind !== "prompt";
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: {
        "Content-Type": isFile ? content.type || "application/octet-stream"
          : isText ? "text/csv" : "application/json",
        Accept: kind === "prompt" ? "text/plain" : "application/json",
      },
      body: isText || isFile ? content : JSON.stringify(content),
      signal: asking.signal,
    });
    if (!response.ok) {
      error.textContent = (await response.json()).error;
    } else if (kind === "prompt") {
      await follow(response);
    } else if (kind === "speech") {
      await play(response);
    } else if (kind === "conversation") {
      reply(said, await response.json());
    } else {
      const answer = await response.json();
      answered = answer.rows;
      notes.textContent = answer.notes.join("; ");
      // Of our own making: what stands in it of others is escaped.
      looks.innerHTML = answer.shown ?? "";
      tell();
    }
  } catch (problem) {
    if (problem.name !== "AbortError") error.textContent = form.dataset.lost;
  } finally {
    button.disabled = false;
    stop.hidden = true;
  }
}

/** A cell of CSV. */
function cell(value) {
  const text = value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
stop.addEventListener("click", () => asking.abort());
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  // A turn is one line; other texts have several.
  const sends = kind === "conversation" ? !event.shiftKey : event.ctrlKey || event.metaKey;
  if (!sends) return;
  event.preventDefault();
  if (!button.disabled) form.requestSubmit();
});
forget?.addEventListener("click", () => {
  turns = [];
  talk.replaceChildren();
  notes.textContent = "";
  forget.hidden = true;
  box.focus();
});
document.getElementById("file")?.addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) box.value = await file.text();
});
save.addEventListener("click", () => {
  const names = Object.keys(answered[0]);
  const lines = [names, ...answered.map((answer) => names.map((name) => answer[name]))];
  const link = document.createElement("a");
  const text = lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
if (kind === "file") {
  box.addEventListener("change", () => {
    if (!box.files[0]) return;
    answered = [];
    looks.replaceChildren();
    tell();
    show(box.files[0]);
    form.requestSubmit();
  });
}
addEventListener("language", () => {
  form.dataset.lost = form.dataset[language() === "vi" ? "lostVi" : "lostEn"];
  tell();
});
