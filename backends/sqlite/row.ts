// A row of the table, as reads find it.

/** A row that was found. */
export interface Row {
  readonly id: number
  readonly expiresAt: number
  /** When the last use was noted. */
  usedAt: number
  readonly value: Buffer
}
