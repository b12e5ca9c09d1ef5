// Draws what was simulated: one line for each way, by the number of processes, in a standalone SVG for light and dark pages.
import { COLOURS, short, spread, STYLE } from '../cache-bench/chart.js'
import { element, LogScale, text } from '../cache-bench/svg.js'
import type { Row } from './summary.js'

const WIDTH = 1040
const MARGIN = 28
const GAP = 44
const HEAD = 84
const PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) / 2
const PANEL_HEIGHT = 250
const LEFT = 52
const RIGHT = 185
const TITLE = 'Many processes on one Redis, simulated'

interface Panel { readonly title: string, readonly of: (row: Row) => number }

const PANELS: readonly Panel[] = [
  { title: 'Runs of handlers per second', of: (row) => row.runsPerSecond },
  { title: 'Stale responses, per million', of: (row) => row.stalePerMillion },
  { title: 'Commands and messages per second', of: (row) => row.commandsPerSecond + row.messagesPerSecond },
  { title: 'Runs per second while Redis is away', of: (row) => row.runsPerSecondAway }
]

/** Returns the picture, as the text of an SVG file. */
export function picture (rows: readonly Row[]): string {
  const height = HEAD + 2 * (PANEL_HEIGHT + GAP)
  const panels = PANELS.map((panel, at) => drawPanel(panel, rows,
    { x: MARGIN + (at % 2) * (PANEL_WIDTH + GAP), y: HEAD + Math.floor(at / 2) * (PANEL_HEIGHT + GAP) }))
  return element('svg', {
    xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, role: 'img', 'aria-label': TITLE
  },
  element('title', {}, TITLE) + element('style', {}, STYLE) + text(MARGIN, 34, TITLE, { class: 'head' }) +
    text(MARGIN, 56, 'by the number of processes; both axes are logarithmic, and 0 is drawn on the lowest line', { class: 'soft' }) +
    panels.join('')) + '\n'
}

function drawPanel ({ title, of }: Panel, rows: readonly Row[], { x, y }: { x: number, y: number }): string {
  const bottom = y + PANEL_HEIGHT - 26
  const end = x + PANEL_WIDTH - RIGHT
  const across = new LogScale(rows.map(({ processes }) => processes), x + LEFT, end)
  const up = new LogScale(rows.map(of), bottom, y + 30)
  const grid = up.ticks().map((value) =>
    element('line', { x1: x + LEFT, x2: end, y1: up.at(value), y2: up.at(value), class: 'grid' }) +
    text(x + LEFT - 8, up.at(value) + 4, short(value), { class: 'soft', 'text-anchor': 'end' }))
  const ticks = across.ticks().map((value) => text(across.at(value), bottom + 18, short(value), { class: 'soft', 'text-anchor': 'middle' }))
  const ways = [...new Set(rows.map(({ way }) => way))]
  const lines = ways.map((way) => rows.filter((row) => row.way === way))
  const ends = spread(lines.map((line) => up.at(of(line.at(-1)!))))
  const drawn = lines.map((line, at) => {
    const places = line.map((row) => ({ x: across.at(row.processes), y: up.at(of(row)) }))
    const points = places.map((place) => `${place.x.toFixed(1)},${place.y.toFixed(1)}`).join(' ')
    return element('polyline', { points, fill: 'none', stroke: COLOURS[at]!, 'stroke-width': '2' }) +
      places.map((place) => element('circle', { cx: place.x, cy: place.y, r: 3.5, fill: COLOURS[at]! })).join('') +
      text(places.at(-1)!.x + 9, ends[at]! + 4, ways[at]!)
  })
  return text(x, y + 14, title, { class: 'title' }) + grid.join('') + ticks.join('') + drawn.join('')
}
