// Shows the progress on the standard error. On a terminal, it overwrites one line; otherwise, it writes a line for each step.
import type { WriteStream } from 'node:tty'

/** The stream to which progress is written: `process.stderr`, or anything like it. */
export type ProgressStream = Pick<WriteStream, 'write'> & { readonly isTTY?: boolean, readonly columns?: number }

const COLUMNS = 80

export class Progress {
  readonly #stream: ProgressStream
  #said = ''

  constructor (stream: ProgressStream) {
    this.#stream = stream
  }

  say (step: string): void {
    if (step === this.#said) return
    this.#said = step
    if (this.#stream.isTTY !== true) this.#stream.write(`${step}\n`)
    else this.#stream.write(`\r\x1b[K${step.slice(0, (this.#stream.columns ?? COLUMNS) - 1)}`)
  }

  /** Removes the line before something else is printed. */
  clear (): void {
    if (this.#stream.isTTY === true && this.#said !== '') this.#stream.write('\r\x1b[K')
    this.#said = ''
  }
}
