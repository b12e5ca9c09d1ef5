// Limits the memory that all streams take together while they are recorded.

export class RecordingBudget {
  readonly #maxBytes: number
  #heldBytes = 0

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Takes so many bytes, if there are as many left. Returns whether there were. */
  take (bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#maxBytes) return false
    this.#heldBytes += bytes
    return true
  }

  give (bytes: number): void {
    this.#heldBytes -= bytes
  }
}
