// A page of the docs as blocks of code, with the comments above each block that say how it is run.
import type { Source } from './sources.js'

/** A fenced block of code. */
export interface Block {
  /** The line of the opening fence, from 1. */
  readonly line: number
  /** The language behind the fence: `ts`, `sh` ... */
  readonly language: string
  /** The lines between the fences. */
  readonly code: string
  /** The comments directly above it, `<!-- file: server.mjs -->`, as name and text. */
  readonly notes: ReadonlyMap<string, string>
}

const FENCE = /^```(\w*)$/
const NOTE = /^<!-- ([\w ]+?)(?:: (.*?))? -->$/

/** The blocks of a page, in order. Throws if a fence is not closed. */
export function blocksOf ({ path, text }: Source): Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; at++) {
    const language = FENCE.exec(lines[at]!)?.[1]
    if (language === undefined) continue
    const end = lines.indexOf('```', at + 1)
    if (end === -1) throw new Error(`${path}:${at + 1}: the block has no end`)
    blocks.push({
      line: at + 1, language, code: lines.slice(at + 1, end).map((line) => `${line}\n`).join(''), notes: notesAbove(lines, at)
    })
    at = end
  }
  return blocks
}

function notesAbove (lines: readonly string[], fence: number): Map<string, string> {
  const notes = new Map<string, string>()
  for (let at = fence - 1; at >= 0; at--) {
    const note = NOTE.exec(lines[at]!)
    if (note === null) break
    notes.set(note[1]!, note[2] ?? '')
  }
  return notes
}

/**
 * Whether `printed` is what a page shows. A line `...` stands for any lines. `vary` is a list of words: the numbers after them may
 * differ. If it is empty, every number may differ.
 */
export function isShown (shown: string, printed: string, vary?: string): boolean {
  const figures = vary === undefined
    ? undefined
    : new RegExp(`${vary === '' ? '' : `(?<=\\b(?:${vary.replaceAll(', ', '|')})\\W{1,2})`}\\d+(?:\\\\\\.\\d+)?`, 'g')
  const pattern = shown.trim().split('\n').map((line) => {
    if (line === '...') return '(?:.*\n)*?'
    const text = line.trimEnd().replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    return `${figures === undefined ? text : text.replace(figures, '\\d+(?:\\.\\d+)?')} *\n`
  })
  return new RegExp(`^${pattern.join('')}$`).test(`${printed.replaceAll('\r', '').trim()}\n`)
}
