// The order of changes: of one writer's changes of one entry, none is taken after a later one, whatever others did in between.

/**
 * Changes that are remembered, one for each writer and entry. A change is on its way for seconds, so the oldest are not needed any more.
 */
const CHANGES_REMEMBERED = 100_000
const WRITERS_REMEMBERED = 10_000

/** Remembers the number of each writer's last change of each entry that was changed of late. */
export class Order {
  readonly #maxChanges: number
  readonly #last = new Map<string, number>()
  /** By writer, the highest number that is no longer remembered: whoever is not above it may be late. */
  readonly #forgotten = new Map<string, number>()

  constructor (maxChanges = CHANGES_REMEMBERED) {
    this.#maxChanges = maxChanges
  }

  /** Whether a change may still take effect. One that doesn't say which it is always may. */
  admits (digest: string, field: string | string[] | undefined): boolean {
    const parts = typeof field === 'string' ? /^([\w-]{1,64})\/(\d{1,15})$/.exec(field) : null
    if (parts === null) return true
    const writer = parts[1] as string
    const number = Number(parts[2])
    const change = `${writer}/${digest}`
    const last = this.#last.get(change) ?? this.#forgotten.get(writer)
    if (last !== undefined && last > number) return false
    this.#last.delete(change)
    this.#last.set(change, number)
    if (this.#last.size > this.#maxChanges) this.#forget()
    return true
  }

  #forget (): void {
    const [change, number] = this.#last.entries().next().value as [string, number]
    const writer = change.split('/', 1)[0] as string
    this.#last.delete(change)
    const highest = Math.max(number, this.#forgotten.get(writer) ?? 0)
    this.#forgotten.delete(writer)
    this.#forgotten.set(writer, highest)
    if (this.#forgotten.size > WRITERS_REMEMBERED) this.#forgotten.delete(this.#forgotten.keys().next().value as string)
  }
}
