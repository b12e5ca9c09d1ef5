// The order of changes: of one writer's changes of one entry, none is taken after a later one.

/** Entries whose last change is remembered; a change is on its way for seconds, so the oldest are not needed any more. */
const REMEMBERED = 100_000

/** Remembers the last change of each entry that was changed of late. */
export class Order {
  readonly #last = new Map<string, { readonly writer: string, readonly number: number }>()

  /** Whether a change may still take effect. One that doesn't say which it is always may. */
  admits (digest: string, field: string | string[] | undefined): boolean {
    const parts = typeof field === 'string' ? /^([\w-]{1,64})\/(\d{1,15})$/.exec(field) : null
    if (parts === null) return true
    const [, writer, number] = parts as unknown as [string, string, string]
    const last = this.#last.get(digest)
    if (last !== undefined && last.writer === writer && last.number > Number(number)) return false
    this.#last.delete(digest)
    this.#last.set(digest, { writer, number: Number(number) })
    const [oldest] = this.#last.size > REMEMBERED ? this.#last.keys() : []
    if (oldest !== undefined) this.#last.delete(oldest)
    return true
  }
}
