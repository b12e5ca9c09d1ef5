// Collects pieces of a body into a few blocks, so that many small pieces take no more memory than a few large ones.

/**
 * The largest size of a new block, unless a single piece needs more. Up to this size, a new block is as large as everything collected
 * before it. So adding takes linear time, and at least half of the memory is used.
 */
const MAX_BLOCK_BYTES = 1024 * 1024

/** Collects the pieces of one body. In an array, each one-byte piece would take a hundred bytes, and more if it is a view of a buffer. */
export class Pieces {
  readonly #blocks: Buffer[] = []
  readonly #startsAt: number
  #freeBytes = 0
  #bytes: number
  /** The position of the first byte that is kept. */
  #keptFrom: number

  /** `startsAt` is the position of the first piece. */
  constructor (startsAt = 0) {
    this.#startsAt = this.#bytes = this.#keptFrom = startsAt
  }

  /** The position after the last byte that was collected. If pieces begin at 0, this is the number of bytes. */
  get bytes (): number {
    return this.#bytes
  }

  /** Returns how many bytes of memory would be allocated to add a piece of this length. */
  costOf (pieceBytes: number): number {
    const restBytes = pieceBytes - this.#freeBytes
    return restBytes <= 0 ? 0 : Math.max(restBytes, Math.min(this.#bytes - this.#startsAt, MAX_BLOCK_BYTES))
  }

  /** Adds a copy of the piece. */
  add (piece: Uint8Array): void {
    const costBytes = this.costOf(piece.byteLength)
    const fitting = piece.subarray(0, this.#freeBytes)
    this.#copy(fitting)
    if (costBytes === 0) return
    // The block does not come from Node's shared pool, because a small block would keep the whole pool alive.
    this.#blocks.push(Buffer.allocUnsafeSlow(costBytes))
    this.#freeBytes = costBytes
    this.#copy(piece.subarray(fitting.byteLength))
  }

  /**
   * Returns bytes from position `at` on, as far as they lie in one block; none if nothing was collected there yet. They are a view, which
   * the caller must not change. The bytes at `at` must not have been dropped.
   */
  from (at: number): Buffer {
    let startsAt = this.#keptFrom
    for (const block of this.#blocks) {
      const endsAt = Math.min(startsAt + block.byteLength, this.#bytes)
      if (at < endsAt) return block.subarray(at - startsAt, endsAt - startsAt)
      startsAt = endsAt
    }
    return NO_BYTES
  }

  /** Drops the blocks that lie before position `at`, except for the last one. */
  drop (at: number): void {
    for (let [block] = this.#blocks; this.#blocks.length > 1 && this.#keptFrom + block!.byteLength <= at; [block] = this.#blocks) {
      this.#keptFrom += block!.byteLength
      this.#blocks.shift()
    }
  }

  /** Returns everything that was collected, as one buffer. Nothing may have been dropped, and nothing may be added afterwards. */
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

const NO_BYTES = Buffer.alloc(0)
