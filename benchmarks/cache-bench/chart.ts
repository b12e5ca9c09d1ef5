// Draws the report as a picture: operations, latencies, value sizes and break-even, in a standalone SVG for light and dark pages.
import { bytes } from './table.js'
import { micros } from './break-even.js'
import type { BackendReport, Report } from './report.js'
import { element, escaped, LogScale, text } from './svg.js'

const WIDTH = 1040
const MARGIN = 28
const GAP = 44
const PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) / 2
const ROW = 15
const ROW_GAP = 12
const HEAD = 84
const TITLE = 30
const AXIS = 26
const LABEL = 118
const VALUE = 66

// Everybody can distinguish these colours (by Okabe and Ito), on white and on black pages.
export const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a8a8a']

export const STYLE =
  'svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#1f2328}.soft{fill:#59636e}.title{font-size:14px;font-weight:600}' +
  '.head{font-size:17px;font-weight:600}' +
  '.grid{stroke:#d1d9e0;stroke-width:1}' +
  '@media (prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#3d444d}}'

interface Bar { readonly label: string, readonly value: number, readonly shown: string, readonly colour: string, readonly opacity: number }
interface Panel { readonly height: number, draw (x: number, y: number): string }

const colourOf = (at: number): string => COLOURS[at % COLOURS.length]!

/** Returns the picture, as the text of an SVG file. */
export function chart (report: Report): string {
  const { backends, machine, conditions } = report
  const panels = [
    [operationsPanel(backends), latencyPanel(backends)],
    [sizesPanel(backends), breakEvenPanel(backends, conditions.hitRatio)]
  ] as const
  const heights = panels.map((row) => Math.max(...row.map(({ height }) => height)))
  const total = HEAD + heights[0]! + heights[1]! + GAP * 2
  const drawn = panels.map((row, at) => row.map((panel, column) =>
    panel.draw(MARGIN + column * (PANEL_WIDTH + GAP), HEAD + (at === 0 ? 0 : heights[0]! + GAP))).join('')).join('')
  const subtitle =
    `values of ${bytes(conditions.valueBytes)}, ${conditions.inFlight} operations in flight; Node ${machine.node}, ${machine.cores} x ${machine.cpu}`
  return element('svg', {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${WIDTH} ${total}`,
    width: WIDTH,
    height: total,
    role: 'img',
    'aria-label': `cache-bench: ${names(backends)}`
  },
  element('title', {}, escaped(`cache-bench: ${names(backends)}`)) + element('style', {}, STYLE) +
    text(MARGIN, 34, `cache-bench: ${names(backends)}`, { class: 'head' }) + text(MARGIN, 56, subtitle, { class: 'soft' }) + drawn) + '\n'
}

function names (backends: readonly BackendReport[]): string {
  return backends.map(({ name }) => name).join(', ')
}

function operationsPanel (backends: readonly BackendReport[]): Panel {
  const shades = [['get', 1], ['set', 0.65], ['delete', 0.35]] as const
  return barPanel('Operations per second', backends.map((backend, at) => shades.map(([operation, opacity]) => {
    const value = backend.operations[operation].perSecond
    return { label: `${backend.name} ${operation}`, value, shown: short(value), colour: colourOf(at), opacity }
  })), short)
}

function breakEvenPanel (backends: readonly BackendReport[], hitRatio: number): Panel {
  const shades = [['cpuUs', 'CPU', 1], ['latencyUs', 'time', 0.5]] as const
  return barPanel(`Caching pays for handlers that take longer, at ${Math.round(hitRatio * 100)} % hits`, backends.map((backend, at) =>
    shades.map(([what, label, opacity]) => {
      const value = backend.breakEven[what]
      return { label: `${backend.name} ${label}`, value, shown: value === 0 ? 'always' : micros(value), colour: colourOf(at), opacity }
    })), micros)
}

/** Draws groups of bars, one below another. */
function barPanel (title: string, groups: ReadonlyArray<readonly Bar[]>, tick: (value: number) => string): Panel {
  const rows = groups.reduce((sum, group) => sum + group.length, 0)
  const height = TITLE + rows * ROW + groups.length * ROW_GAP + AXIS
  return {
    height,
    draw (x, y) {
      const scale = new LogScale(groups.flat().map(({ value }) => value), x + LABEL, x + PANEL_WIDTH - VALUE)
      const bottom = y + height - AXIS
      let top = y + TITLE
      const bars = groups.map((group) => {
        const drawn = group.map((bar, row) => drawBar(bar, { x, y: top + row * ROW, scale })).join('')
        top += group.length * ROW + ROW_GAP
        return drawn
      })
      return text(x, y + 14, title, { class: 'title' }) + grid(scale, { top: y + TITLE - 4, bottom, tick }) + bars.join('')
    }
  }
}

function drawBar ({ label, value, shown, colour, opacity }: Bar, { x, y, scale }: { x: number, y: number, scale: LogScale }): string {
  const end = value > 0 ? scale.at(value) : x + LABEL
  return text(x + LABEL - 8, y + 11, cut(label), { 'text-anchor': 'end' }) +
    element('rect', {
      x: x + LABEL, y: y + 1, width: Math.max(1, end - x - LABEL), height: ROW - 3, fill: colour, 'fill-opacity': String(opacity)
    }) +
    text(Math.max(end, x + LABEL) + 6, y + 11, shown, { class: 'soft' })
}

/** Draws the latencies, from the median to the 99.9th percentile. */
function latencyPanel (backends: readonly BackendReport[]): Panel {
  const lines = backends.flatMap((backend, at) => (['get', 'set'] as const).map((operation, row) => {
    const { p50Us, p90Us, p99Us, p999Us } = backend.operations[operation]
    return { label: `${backend.name} ${operation}`, values: [p50Us, p90Us, p99Us, p999Us], colour: colourOf(at), isLast: row === 1 }
  }))
  const height = TITLE + lines.length * (ROW + 4) + backends.length * ROW_GAP + AXIS
  return {
    height,
    draw (x, y) {
      const scale = new LogScale(lines.flatMap(({ values }) => values), x + LABEL, x + PANEL_WIDTH - VALUE)
      let top = y + TITLE
      const drawn = lines.map(({ label, values, colour, isLast }) => {
        const middle = top + ROW / 2
        const [first, last] = [scale.at(values[0]!), scale.at(values.at(-1)!)]
        top += ROW + 4 + (isLast ? ROW_GAP : 0)
        return text(x + LABEL - 8, middle + 4, cut(label), { 'text-anchor': 'end' }) +
          element('line', { x1: first, x2: last, y1: middle, y2: middle, stroke: colour, 'stroke-width': '2', 'stroke-opacity': '0.5' }) +
          values.map((value, at) => element('circle', {
            cx: scale.at(value), cy: middle, r: at === 0 ? 5 : 3.5, fill: colour, 'fill-opacity': String(1 - at * 0.2)
          })).join('') +
          text(last + 8, middle + 4, micros(values.at(-1)!), { class: 'soft' })
      })
      return text(x, y + 14, 'Latency of an operation: p50, p90, p99, p99.9', { class: 'title' }) +
        grid(scale, { top: y + TITLE - 4, bottom: y + height - AXIS, tick: micros }) + drawn.join('')
    }
  }
}

/** Draws the reads per second by value size, as one line for each backend. */
function sizesPanel (backends: readonly BackendReport[]): Panel {
  const height = 280
  return {
    height,
    draw (x, y) {
      const points = backends.map(({ sizes }) => sizes.map(({ valueBytes, getPerSecond }) => [valueBytes, getPerSecond] as const))
      const across = new LogScale(points.flat().map(([size]) => size), x + 52, x + PANEL_WIDTH - VALUE - 24)
      const bottom = y + height - AXIS
      const up = new LogScale(points.flat().map(([, rate]) => rate), bottom, y + TITLE)
      const rows = up.ticks().map((value) =>
        element('line', { x1: x + 52, x2: x + PANEL_WIDTH - VALUE - 24, y1: up.at(value), y2: up.at(value), class: 'grid' }) +
        text(x + 44, up.at(value) + 4, short(value), { class: 'soft', 'text-anchor': 'end' }))
      const columns = across.ticks().map((value) => text(across.at(value), bottom + 18, bytes(value), {
        class: 'soft', 'text-anchor': 'middle'
      }))
      const ends = spread(points.map((line) => up.at(line.at(-1)![1])))
      const lines = points.map((line, at) =>
        element('polyline', {
          points: line.map(([size, rate]) => `${across.at(size).toFixed(1)},${up.at(rate).toFixed(1)}`).join(' '),
          fill: 'none',
          stroke: colourOf(at),
          'stroke-width': '2'
        }) +
        line.map(([size, rate]) => element('circle', { cx: across.at(size), cy: up.at(rate), r: 3.5, fill: colourOf(at) })).join('') +
        text(across.at(line.at(-1)![0]) + 9, ends[at]! + 4, cut(backends[at]!.name)))
      return text(x, y + 14, 'Reads per second by value size', { class: 'title' }) + rows.join('') +
        columns.join('') + lines.join('')
    }
  }
}

/** Returns places for labels. Labels that would overlap are moved apart, and keep their order. */
export function spread (places: readonly number[]): number[] {
  const order = places.map((_, at) => at).sort((one, other) => places[one]! - places[other]!)
  const moved = [...places]
  for (let step = 1; step < order.length; step++) {
    const [above, below] = [order[step - 1]!, order[step]!]
    moved[below] = Math.max(moved[below]!, moved[above]! + ROW)
  }
  return moved
}

function grid (scale: LogScale, { top, bottom, tick }: { top: number, bottom: number, tick: (value: number) => string }): string {
  return scale.ticks().map((value) => element('line', { x1: scale.at(value), x2: scale.at(value), y1: top, y2: bottom, class: 'grid' }) +
    text(scale.at(value), bottom + 18, tick(value), { class: 'soft', 'text-anchor': 'middle' })).join('')
}

/** Formats a number for an axis. */
export function short (value: number): string {
  const [unit, divisor] = value >= 1e6 ? ['M', 1e6] : value >= 1e3 ? ['k', 1e3] : ['', 1]
  return `${Number((value / divisor).toPrecision(3))}${unit}`
}

function cut (label: string): string {
  return label.length > 18 ? `${label.slice(0, 17)}…` : label
}
