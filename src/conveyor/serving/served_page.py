"""The page of a service, on which a run is tried."""

import html
from dataclasses import fields
from typing import Any, get_type_hints

from conveyor.pages.frame import document, text_of
from conveyor.pages.words import Language, Words, language_buttons, same
from conveyor.tasks.question import Question
from conveyor.tasks.run import Run
from conveyor.tasks.settings import OptionRecord, options_of
from conveyor.tasks.task_registry import find

# It asks its own service, and nothing else.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data: blob:; media-src blob:; base-uri 'none'; form-action 'none'"
)

# What options are called on the page; others by their own names.
_NAMES = {
    "scores": Words("with scores", "kèm điểm số"),
    "explain": Words("why", "vì sao"),
    "beam": Words("beam width", "độ rộng chùm"),
    "n_best": Words("answers to each", "số câu trả lời"),
    "top_k": same("top-k"),
    "top_p": same("top-p"),
    "length": Words("length", "độ dài"),
    "temperature": Words("temperature", "nhiệt độ"),
    "seed": Words("seed", "hạt giống"),
    "speaker": Words("speaker", "người nói"),
    "drawn": Words("drawn", "số câu rút ra"),
    "generic": Words("λ against replies to everything", "λ trừ câu chung chung"),
}

# What the button says; of others "Ask".
_SEND = {
    "prompt": Words("Write", "Viết tiếp"),
    "conversation": Words("Say", "Nói"),
    "speech": Words("Speak", "Đọc"),
}

_LOST = Words(
    "The service does not answer. Is it still running?",
    "Dịch vụ không trả lời. Nó còn chạy không?",
)


def option_names(run: Run, question: Question) -> frozenset[str]:
    """Return the names of the options that requests may have: of lines those that say how they are
    answered, and not which columns a table has; and so of a conversation and a file."""
    if question.kind in ("lines", "conversation", "file"):
        return frozenset(chosen_options(run, question))
    kind = _options(run, question)
    return frozenset() if kind is None else frozenset(field.name for field in fields(kind))


def chosen_options(run: Run, question: Question) -> dict[str, type[Any]]:
    """Return the options that are switches or numbers, and their types."""
    kind = _options(run, question)
    if kind is None or not issubclass(kind, OptionRecord):
        return {}
    hints = get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}
    return {name: hint for name, hint in known.items() if hint in (bool, int, float)}


def _options(run: Run, question: Question) -> type[Any] | None:
    entry = find(run.task)
    return entry.writing if question.kind in ("prompt", "speech") else entry.reading


def served_page(run: Run, question: Question, language: Language) -> str:
    """Return the page.

    Args:
        run: what is asked.
        question: what it takes.
        language: that the page begins in.
    """
    name = run.folder.resolve().name
    title = Words(f"Try ‘{name}’", f"Dùng thử ‘{name}’")
    about = Words(
        f"A network of the task {run.task}: {run.model.title}.",
        f"Mạng của bài toán {run.task}: {run.model.title}.",
    )
    is_table = question.kind == "table"
    file = ""
    if is_table:
        said = Words("or a file", "hoặc một tệp")
        file = f'<label>{said.html()} <input type="file" id="file" accept=".csv,.tsv,.txt"></label>'
    send = _SEND.get(question.kind, Words("Ask", "Hỏi"))
    talks = question.kind == "conversation"
    lines = 2 if talks else min(max(question.example.count("\n") + 1, 4), 12)
    forget = ""
    if talks:
        said = Words("Begin anew", "Bắt đầu lại")
        forget = f'<button type="button" id="forget" hidden>{said.html()}</button>'
    look = ' class="table"' if is_table else ""
    box = (
        f'<textarea id="asked"{look} spellcheck="false" '
        f'rows="{lines}">{html.escape(question.example)}</textarea>'
    )
    if question.kind == "file":
        box = (
            f'<input type="file" id="asked" accept="{",".join(question.endings)}">'
            '<div id="preview" hidden></div>'
        )
    main = f"""<div class="above"><h1>{title.html()}</h1>{language_buttons(language)}</div>
<p>{about.html()}</p>
{'<ol id="talk" aria-live="polite"></ol>' if talks else ""}
<form class="ask" id="ask" data-kind="{question.kind}" data-lost="{getattr(_LOST, language)}"
 data-lost-en="{_LOST.en}" data-lost-vi="{_LOST.vi}">
<label for="asked">{question.label.html()}</label>
{box}
<div class="options">{file}{"".join(_inputs(run, question))}</div>
<div class="buttons"><button type="submit">{send.html()}</button>
{forget}<button type="button" id="stop" hidden>{Words("Stop", "Dừng").html()}</button>
<button type="button" id="save" hidden>{Words("Save as CSV", "Lưu thành CSV").html()}</button></div>
</form>
<p id="error" role="alert"></p>
<p id="notes"></p>
<pre id="written" aria-live="polite" hidden></pre>
{'<audio id="sound" controls hidden></audio>' if question.kind == "speech" else ""}
<div class="wide"><table id="rows" aria-live="polite"></table></div>
<div id="shown"></div>
{_how_to_ask(question)}"""
    return document(
        title,
        main,
        styles=("page.css", "serve.css"),
        scripts=f"<script>\n{text_of('serve.js')}{text_of('languages.js')}</script>",
        language=language,
        policy=_POLICY,
    )


def _inputs(run: Run, question: Question) -> list[str]:
    """Return the inputs of options that are switches or numbers, or have a few values to choose
    from; a table has none."""
    kind: Any = _options(run, question)
    inputs: list[str] = []
    for name, values in question.choices.items():
        said, tip = _about(kind, name)
        choices = "".join(f"<option>{html.escape(value)}</option>" for value in values)
        tag = f'<select data-option="{name}">{choices}</select>'
        inputs.append(f'<label title="{tip}">{said} {tag}</label>')
    for name, hint in chosen_options(run, question).items() if question.kind != "table" else ():
        if name in question.hidden:
            continue
        said, tip = _about(kind, name)
        if hint is bool:
            tag = f'<input type="checkbox" data-option="{name}">'
            inputs.append(f'<label title="{tip}">{tag} {said}</label>')
        else:
            step, default = "1" if hint is int else "any", getattr(kind(), name)
            tag = f'<input type="number" step="{step}" value="{default}" data-option="{name}">'
            inputs.append(f'<label title="{tip}">{said} {tag}</label>')
    return inputs


def _about(kind: Any, name: str) -> tuple[str, str]:
    """Return what an option is called on the page, and what it is for, as HTML."""
    said = _NAMES.get(name, same(name.replace("_", " "))).html()
    return said, html.escape(options_of(kind)[name].described)


def _how_to_ask(question: Question) -> str:
    """Return how a program asks the same."""
    title = Words("From a program", "Gọi từ chương trình")
    json = "-H 'Content-Type: application/json'"
    command = {
        "lines": f'curl {{}}predict {json} -d \'{{"lines": ["..."]}}\'',
        "table": "curl {}predict -H 'Content-Type: text/csv' --data-binary @table.csv",
        "conversation": f'curl {{}}reply {json} -d \'{{"turns": ["Hello!"]}}\'',
        "file": (
            f"curl '{{}}predict?name=new{next(iter(question.endings), '')}' "
            "-H 'Content-Type: application/octet-stream' "
            f"--data-binary @new{next(iter(question.endings), '')}"
        ),
        "speech": f'curl {{}}speak {json} -d \'{{"text": "..."}}\' -o spoken.wav',
        "prompt": f'curl {{}}generate {json} -d \'{{"prompt": "...", "length": 400}}\'',
    }[question.kind]
    return f"""<details class="api"><summary>{title.html()}</summary>
<pre id="command" data-command="{html.escape(command)}"></pre></details>
<script>
for (const said of document.querySelectorAll("[data-command]")) {{
  said.textContent = said.dataset.command.replace("{{}}", new URL(".", location.href).href);
}}
</script>"""
