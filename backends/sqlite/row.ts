// The type of the rows that reads return.

/** A row that was found. */
export interface Row {
  readonly id: number
  readonly expiresAt: number
  /** The time of the last recorded use. */
  usedAt: number
  readonly value: Buffer
}
