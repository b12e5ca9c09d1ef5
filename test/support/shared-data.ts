// Data that several processes share without messages: numbers that only grow, and a journal of what handlers did, in files.
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** How many numbers there are. */
export const NUMBERS = 1_024

const BYTES = 8

/** One line of the journal: a handler began, having read a number, or it ended. */
export interface Line {
  readonly what: 'began' | 'ended'
  readonly name: string
  readonly number: number
  readonly pid: number
  /** The number of the run in its process. */
  readonly run: number
}

export class SharedData {
  readonly #numbers: number
  readonly #journal: number
  readonly #journalPath: string

  /** With `isNew`, creates the files in `folder`. */
  constructor (folder: string, isNew = false) {
    const numbers = join(folder, 'numbers')
    this.#journalPath = join(folder, 'journal')
    if (isNew) writeFileSync(numbers, Buffer.alloc(NUMBERS * BYTES))
    this.#numbers = openSync(numbers, 'r+')
    this.#journal = openSync(this.#journalPath, 'a')
  }

  read (at: number): number {
    const bytes = Buffer.alloc(BYTES)
    readSync(this.#numbers, bytes, 0, BYTES, at * BYTES)
    return Number(bytes.readBigUInt64LE())
  }

  /** The file system writes so few bytes in one step. */
  write (at: number, number: number): void {
    const bytes = Buffer.alloc(BYTES)
    bytes.writeBigUInt64LE(BigInt(number))
    writeSync(this.#numbers, bytes, 0, BYTES, at * BYTES)
  }

  note (line: Omit<Line, 'pid'>): void {
    writeSync(this.#journal, `${JSON.stringify({ ...line, pid: process.pid } satisfies Line)}\n`)
  }

  /** The lines in the order in which they were written, whichever process wrote them. */
  lines (about: (name: string) => boolean = () => true): Line[] {
    const lines = readFileSync(this.#journalPath, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line) as Line)
    return lines.filter(({ name }) => about(name))
  }

  /** How many handlers began. */
  runs (name: string): number {
    return this.lines((other) => other === name).filter(({ what }) => what === 'began').length
  }

  /** How many handlers ran at once at most. */
  mostAtOnce (name: string): number {
    let [now, most] = [0, 0]
    for (const { what } of this.lines((other) => other === name)) {
      now += what === 'began' ? 1 : -1
      most = Math.max(most, now)
    }
    return most
  }

  /** How many handlers ran one after another: the longest chain of runs of which each began after the one before had ended. */
  longestChain (name: string, from = 0): number {
    let length = 0
    let after = new Set<string>()
    for (const { what, pid, run } of this.lines((other) => other === name).slice(from)) {
      const id = `${pid} ${run}`
      if (what === 'began') after.add(id)
      else if (after.has(id)) {
        length++
        after = new Set()
      }
    }
    return length
  }

  close (): void {
    closeSync(this.#numbers)
    closeSync(this.#journal)
  }
}
