// Draws the line plots of the report with uPlot, whose script stands before this one in the page.
// Colours and dashes are read from the style sheet, so that light, dark and print have one source.
(() => {
  /** @typedef {(number | null)[]} Values */
  /** @typedef {{ subject: string, middle: Values, low: Values, high: Values }} Line */
  /** @typedef {{ id: "latency" | "over-time", x: number[], lines: Line[] }} LinePlot */
  /** @typedef {{ tone: string, dash: number[], readout: Element | null }} Look */

  /** @type {LinePlot[]} */
  const plots = JSON.parse(document.getElementById("plots")?.textContent ?? "[]");
  const printing = matchMedia("print");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  /** An A4 page between its margins; while printing starts, the layout still has the screen's. */
  const printWidth = 680;

  /** @type {Map<Element, uPlot>} */
  const drawn = new Map();

  const amounts = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

  /** @param {number | null | undefined} value */
  function amount(value) {
    return value === null || value === undefined ? "" : amounts.format(value);
  }

  /** @param {uPlot} _ @param {number[]} splits */
  function everySplit(_, splits) {
    return splits;
  }

  /** @param {uPlot} _ @param {(number | null)[]} splits */
  function tickTexts(_, splits) {
    return splits.map(amount);
  }

  /**
   * What a logarithmic axis names: 1, 2 and 5 of each decade, or 1 alone where there is no room.
   * @param {Element} place
   * @returns {(chart: uPlot, axis: number, from: number, to: number) => number[]}
   */
  function decades(place) {
    const digits = place.clientWidth > 480 ? [1, 2, 5] : [1];
    return (_, _axis, from, to) => {
      const first = Math.floor(Math.log10(from));
      const count = Math.ceil(Math.log10(to)) - first + 1;
      const values = Array.from({ length: count }, (_, step) => 10 ** (first + step));
      const all = values.flatMap((value) => digits.map((digit) => digit * value));
      return all.filter((value) => value >= from && value <= to);
    };
  }

  /** @param {Element} place */
  function sizeOf(place) {
    const width = printing.matches ? printWidth : Math.floor(place.clientWidth);
    return { width, height: Math.round(Math.min(420, Math.max(240, width * 0.5))) };
  }

  /**
   * @param {Element} place
   * @param {string} subject
   * @returns {Look}
   */
  function lookOf(place, subject) {
    const item = place.parentElement?.querySelector(`.legend .${subject}`) ?? place;
    const style = getComputedStyle(item);
    const dash = style.getPropertyValue("--dash").split(" ").map(Number);
    return {
      tone: style.getPropertyValue("--tone").trim(),
      dash: dash.filter((length) => length > 0),
      readout: item.querySelector(".at"),
    };
  }

  /**
   * @param {LinePlot} plot
   * @param {Look[]} looks
   * @returns {uPlot.Series[]}
   */
  function seriesOf(plot, looks) {
    const stepped = plot.id === "over-time" ? uPlot.paths.stepped?.({ align: 1 }) : undefined;
    const common = { points: { show: false }, ...(stepped && { paths: stepped }) };
    const lines = looks.flatMap(({ tone, dash }) => [
      { ...common, width: 0 },
      { ...common, width: 0 },
      { ...common, stroke: tone, width: 2.25, dash },
    ]);
    return [{}, ...lines];
  }

  /**
   * @param {LinePlot} plot
   * @param {Element} place
   * @returns {uPlot.Axis[]}
   */
  function axesOf(plot, place) {
    const style = getComputedStyle(place);
    const stroke = style.getPropertyValue("--soft").trim();
    const line = { stroke: style.getPropertyValue("--line").trim(), width: 1 };
    const font = `12px ${style.fontFamily}`;
    const common = { stroke, font, grid: line, ticks: line, values: tickTexts };
    const logarithmic = {
      splits: decades(place),
      // uPlot's own choice of what to name would leave some of these out.
      filter: everySplit,
      grid: { ...line, filter: everySplit },
      ticks: { ...line, filter: everySplit },
    };
    const wide = plot.id === "over-time" ? 58 : 44;
    return [
      { ...common, space: 44, size: 34, ...(plot.id === "latency" && logarithmic) },
      { ...common, size: wide },
    ];
  }

  /**
   * What the lines say where the pointer is, written into the legend.
   * @param {LinePlot} plot
   * @param {Look[]} looks
   * @returns {(chart: uPlot) => void}
   */
  function readoutOf(plot, looks) {
    return ({ cursor }) => {
      const at = cursor.idx;
      for (const [index, { readout }] of looks.entries()) {
        if (readout === null) continue;
        const value = at === null || at === undefined ? null : plot.lines[index]?.middle[at];
        readout.textContent = value === null ? "" : readoutText(plot, value, plot.x[at ?? 0]);
      }
    };
  }

  /**
   * @param {LinePlot} plot
   * @param {number | undefined} value
   * @param {number | undefined} x
   */
  function readoutText(plot, value, x) {
    if (plot.id === "latency") return `${amount(value)} % within ${amount(x)} ms`;
    return `${amount(value)} per second at ${amount((x ?? 0) / 1_000)} s`;
  }

  /**
   * @param {LinePlot} plot
   * @param {HTMLElement} place
   */
  function draw(plot, place) {
    const looks = plot.lines.map(({ subject }) => lookOf(place, subject));
    const latency = plot.id === "latency";
    const highest = Math.max(1, ...plot.lines.flatMap(({ high }) => high.map(Number)));
    /** @type {uPlot.Options} */
    const options = {
      ...sizeOf(place),
      padding: [12, 16, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 8 } },
      // A latency of nothing has no place on a logarithmic scale; the first edge is above it.
      scales: {
        x: { time: false, distr: latency ? 3 : 1, range: (_, from, to) => [from, to] },
        y: { range: [0, latency ? 100 : highest * 1.04] },
      },
      axes: axesOf(plot, place),
      series: seriesOf(plot, looks),
      bands: looks.map(({ tone }, index) => ({
        series: [index * 3 + 2, index * 3 + 1],
        fill: `${tone}38`,
      })),
      hooks: { setCursor: [readoutOf(plot, looks)] },
    };
    const x = latency ? plot.x : plot.x.map((ms) => ms / 1_000);
    const data = plot.lines.flatMap(({ low, high, middle }) => [low, high, middle]);
    drawn.get(place)?.destroy();
    drawn.set(place, new uPlot(options, [x, ...data], place));
  }

  function drawAll() {
    for (const plot of plots) {
      const place = document.querySelector(`[data-plot="${plot.id}"]`);
      if (place instanceof HTMLElement) draw(plot, place);
    }
  }

  drawAll();
  dark.addEventListener("change", drawAll);
  printing.addEventListener("change", drawAll);
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = drawn.get(target);
      const size = sizeOf(target);
      if (chart !== undefined && chart.width !== size.width) chart.setSize(size);
    }
  });
  for (const place of drawn.keys()) watcher.observe(place);
})();
