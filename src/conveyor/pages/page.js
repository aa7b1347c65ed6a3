// What a report does once it is open: charts in the colours of the system and the language of the
// page, and words explained.
"use strict";

/** Returns a value of JSON in which the texts that are keys of `others` are replaced. */
function replaced(value, others) {
  if (typeof value === "string") return Object.hasOwn(others, value) ? others[value] : value;
  if (Array.isArray(value)) return value.map((item) => replaced(item, others));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, replaced(item, others)]),
  );
}

/** How plotly writes numbers and dates, and what its buttons are called, in Vietnamese. */
const VIETNAMESE = {
  moduleType: "locale",
  name: "vi",
  dictionary: {
    "Zoom": "Phóng to một vùng", "Pan": "Di chuyển", "Reset axes": "Về ban đầu",
    "Download plot as a PNG": "Tải ảnh PNG",
  },
  format: {
    decimal: ",", thousands: ".",
    shortMonths: Array.from({ length: 12 }, (_, month) => `Th${month + 1}`),
    months: Array.from({ length: 12 }, (_, month) => `tháng ${month + 1}`),
  },
};

/** Returns how the axes of a chart write numbers in Vietnamese, which has no k, M and B: in full, or
 *  with a power of ten where that would be long. */
function vietnameseNumbers(data) {
  const values = data.flatMap(({ x, y }) => [x, y].filter(Array.isArray).flat());
  const largest = values.reduce(
    (most, value) => (typeof value === "number" ? Math.max(most, Math.abs(value)) : most), 0,
  );
  const short = largest === 0 || (largest >= 1e-5 && largest < 1e9);
  return { separatethousands: true, exponentformat: short ? "none" : "power" };
}

/** Returns what all charts have in common, read from the style sheet, which knows light and
 *  dark, and how axes write numbers. */
function template(numbers) {
  const style = getComputedStyle(document.documentElement);
  const [ink, quiet, line, grid, raised] = ["ink", "quiet", "line", "grid", "raised"].map((name) =>
    style.getPropertyValue(`--${name}`).trim(),
  );
  const axis = {
    gridcolor: grid, zerolinecolor: line, linecolor: line, tickcolor: line, automargin: true,
    tickfont: { color: quiet }, title: { standoff: 10, font: { size: 13, color: quiet } },
    ...numbers,
  };
  const clear = "rgba(0,0,0,0)";
  return {
    layout: {
      font: { family: "system-ui, sans-serif", size: 13, color: ink },
      paper_bgcolor: clear, plot_bgcolor: clear, xaxis: axis, yaxis: axis,
      legend: { bgcolor: clear },
      hoverlabel: { bgcolor: raised, bordercolor: line, font: { color: ink }, namelength: -1 },
      modebar: { bgcolor: clear, color: quiet, activecolor: ink },
      annotationdefaults: { font: { color: ink } },
    },
  };
}

function drawCharts(darkColours) {
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");
  // A finger that moves over a chart scrolls the page; it would mark a part to be enlarged.
  const finger = matchMedia("(pointer: coarse)").matches;
  const charts = [...document.querySelectorAll(".chart")].map((chart) => ({
    plot: chart.querySelector(".plot"),
    figure: JSON.parse(chart.querySelector(".figure").textContent),
    vietnamese: JSON.parse(chart.querySelector(".vi").textContent),
  }));
  Plotly.register(VIETNAMESE);
  function draw() {
    const locale = document.documentElement.lang === "vi" ? "vi" : "en-US";
    const config = {
      displaylogo: false, responsive: true, displayModeBar: finger ? false : "hover", locale,
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
    };
    for (const { plot, figure, vietnamese } of charts) {
      const { data, layout } = replaced(figure, {
        ...(dark.matches ? darkColours : {}), ...(locale === "vi" ? vietnamese : {}),
      });
      layout.template = template(locale === "vi" ? vietnameseNumbers(data) : {});
      // The box under the pointer is headed "epoch 3", not "3".
      const unit = layout.xaxis?.title?.text;
      if (unit) layout.xaxis.unifiedhovertitle = { text: `${unit} %{x}` };
      if (finger) {
        layout.dragmode = false;
        layout.margin.t = 28; // there are no buttons
      }
      Plotly.react(plot, data, layout, config);
      plot.dataset.colours = dark.matches ? "dark" : "light";
    }
  }
  draw();
  dark.addEventListener("change", draw);
  addEventListener("language", draw);
}

function explainWords() {
  for (const word of document.querySelectorAll(".term")) {
    const box = document.getElementById(word.getAttribute("popovertarget"));
    if (!box?.showPopover) continue; // an older browser: the boxes stand at the end of the page
    const close = () => box.matches(":popover-open") && box.hidePopover();
    const open = () => {
      if (!box.matches(":popover-open")) box.showPopover();
      const at = word.getBoundingClientRect(), { width, height } = box.getBoundingClientRect();
      const below = at.bottom + 8 + height <= innerHeight || at.top < height + 8;
      const rightmost = document.documentElement.clientWidth - width - 16;
      box.style.margin = "0";
      box.style.left = `${Math.max(16, Math.min(at.left, rightmost))}px`;
      box.style.top = `${below ? at.bottom + 8 : at.top - height - 8}px`;
    };
    word.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && open());
    word.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && close());
    word.addEventListener("focus", () => word.matches(":focus-visible") && open());
    word.addEventListener("blur", close);
    box.addEventListener("toggle", (event) => event.newState === "open" && open());
    // It hangs below its word, which a scroll moves.
    addEventListener("scroll", close, { passive: true, capture: true });
  }
}

/** Returns a key by which cells of one column are sorted: a number, or a text. */
function keyOf(cell) {
  const text = (cell.querySelector('[lang="en"]') ?? cell).textContent.trim();
  const number = /^[-+]?[\d,]*\.?\d+\s*%?$/.test(text) ? parseFloat(text.replaceAll(",", "")) : NaN;
  return Number.isNaN(number) ? text : number;
}

/** Lets tables be sorted by a column, and shows their first rows until all are asked for. */
function sortTables() {
  for (const part of document.querySelectorAll(".sortable")) {
    const body = part.querySelector("tbody"), more = part.querySelector(".more");
    const heads = [...part.querySelector("thead tr").cells];
    const atOnce = Number(part.dataset.atOnce);
    let whole = body.rows.length <= atOnce;
    const show = () => {
      [...body.rows].forEach((row, number) => { row.hidden = !whole && number >= atOnce; });
      if (more) more.hidden = whole;
    };
    more?.addEventListener("click", () => { whole = true; show(); });
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "sort" });
      Object.assign(button.dataset, { labelEn: "Sort", labelVi: "Sắp xếp" });
      button.addEventListener("click", () => {
        const rows = [...body.rows], keys = new Map(rows.map((row) => [row, keyOf(row.cells[column])]));
        const numbers = column > 0 && [...keys.values()].some((key) => typeof key === "number");
        // Numbers from the largest, names from A: what people look for first.
        const first = numbers ? "descending" : "ascending";
        const other = numbers ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        const sign = order === "ascending" ? 1 : -1;
        rows.sort((one, two) => {
          const [a, b] = [keys.get(one), keys.get(two)];
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // what is missing, last
          const compared = typeof a === "number" ? a - b : a.localeCompare(b, "vi", { numeric: true });
          return sign * compared;
        });
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        body.append(...rows);
        show();
      });
      head.append(button);
    });
    show();
  }
}

function start() {
  const packed = document.getElementById("plotly");
  const { alphabet, size, dark } = JSON.parse(document.getElementById("frame").textContent);
  try {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(
      fromLzma(fromBase85(packed.textContent, alphabet), size),
    );
    document.head.append(script);
    drawCharts(dark);
  } catch (error) {
    for (const plot of document.querySelectorAll(".plot:empty")) {
      const begins = document.documentElement.lang === "vi"
        ? "Trình duyệt này không vẽ được biểu đồ" : "This browser cannot draw the chart";
      plot.textContent = `${begins}: ${error.message}`;
      plot.className = "untold";
      plot.style.height = "auto";
    }
    throw error;
  }
}

explainWords();
sortTables();
// The words first: the charts take some tenths of a second.
requestAnimationFrame(() => setTimeout(start));
