// A row of the table, as a read returns it.

/** A row that was found. */
export interface Row {
  readonly id: number
  readonly expiresAt: number
  /** The last noted use. */
  usedAt: number
  readonly value: Buffer
}
