// The order of changes: a writer's change of an entry is refused if a later change by the same writer has already been accepted.

/** How many changes are remembered, one for each writer and entry. A change arrives within seconds, so the oldest can be dropped. */
const CHANGES_REMEMBERED = 100_000
const WRITERS_REMEMBERED = 10_000

/** Remembers the number of each writer's last change of each recently changed entry. */
export class Order {
  readonly #maxChanges: number
  readonly #last = new Map<string, number>()
  /** By writer, the highest number that was dropped. A change with a lower number may be late. */
  readonly #dropped = new Map<string, number>()

  constructor (maxChanges = CHANGES_REMEMBERED) {
    this.#maxChanges = maxChanges
  }

  /** Whether a change may still take effect. A change without a number always may. */
  admits (digest: string, field: string | string[] | undefined): boolean {
    const parts = typeof field === 'string' ? /^([\w-]{1,64})\/(\d{1,15})$/.exec(field) : null
    if (parts === null) return true
    const writer = parts[1] as string
    const number = Number(parts[2])
    const change = `${writer}/${digest}`
    const last = this.#last.get(change) ?? this.#dropped.get(writer)
    if (last !== undefined && last > number) return false
    this.#last.delete(change)
    this.#last.set(change, number)
    if (this.#last.size > this.#maxChanges) this.#drop()
    return true
  }

  #drop (): void {
    const [change, number] = this.#last.entries().next().value as [string, number]
    const writer = change.split('/', 1)[0] as string
    this.#last.delete(change)
    const highest = Math.max(number, this.#dropped.get(writer) ?? 0)
    this.#dropped.delete(writer)
    this.#dropped.set(writer, highest)
    if (this.#dropped.size > WRITERS_REMEMBERED) this.#dropped.delete(this.#dropped.keys().next().value as string)
  }
}
