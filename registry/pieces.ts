// Bytes that arrive in pieces, gathered into a few blocks: what they hold is bounded by their bytes, however small the pieces are.

/** A block is as large as what was gathered before it, up to this, so that adding is linear and half of the memory is in use. */
const MAX_BLOCK_BYTES = 1024 * 1024

/** The pieces of one body. A list of them would hold a hundred bytes for each, be it one byte long, and more where it is a view. */
export class Pieces {
  readonly #blocks: Buffer[] = []
  #freeBytes = 0
  #bytes = 0

  /** Bytes gathered so far. */
  get bytes (): number {
    return this.#bytes
  }

  /** The memory that one more piece of this length allocates: what it is to be charged. */
  costOf (pieceBytes: number): number {
    const restBytes = pieceBytes - this.#freeBytes
    return restBytes <= 0 ? 0 : Math.max(restBytes, Math.min(this.#bytes, MAX_BLOCK_BYTES))
  }

  /** Copies the piece. */
  add (piece: Uint8Array): void {
    const costBytes = this.costOf(piece.byteLength)
    const fitting = piece.subarray(0, this.#freeBytes)
    this.#copy(fitting)
    if (costBytes === 0) return
    // Not of the shared pool: a small block that is kept would keep the whole pool.
    this.#blocks.push(Buffer.allocUnsafeSlow(costBytes))
    this.#freeBytes = costBytes
    this.#copy(piece.subarray(fitting.byteLength))
  }

  /** All that was gathered, in memory of its own. Nothing is added after that. */
  whole (): Buffer {
    const [first] = this.#blocks
    if (this.#blocks.length === 1 && this.#freeBytes === 0) return first as Buffer
    const whole = Buffer.allocUnsafeSlow(this.#bytes)
    let at = 0
    for (const block of this.#blocks) at += block.copy(whole, at, 0, this.#bytes - at)
    return whole
  }

  #copy (piece: Uint8Array): void {
    if (piece.byteLength === 0) return
    const block = this.#blocks[this.#blocks.length - 1] as Buffer
    block.set(piece, block.byteLength - this.#freeBytes)
    this.#freeBytes -= piece.byteLength
    this.#bytes += piece.byteLength
  }
}
