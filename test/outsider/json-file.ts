// A backend in one JSON file: everything in memory, the file written aside and renamed before a change settles.
import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import type { CacheBackend, StoredEntry } from 'fastify-response-cache'

type Row = [key: string, base64: string, expiresAt: number]

export class JsonFile implements CacheBackend {
  readonly #path: string
  readonly #now: () => number
  readonly #entries: Map<string, StoredEntry>
  /** Goes on while there are changes that are not in the file. */
  #saving: Promise<void> | undefined
  #isDirty = false
  #isClosed = false

  constructor (path: string, now: () => number) {
    this.#path = path
    this.#now = now
    this.#entries = read(path)
  }

  get (key: string): StoredEntry | undefined {
    this.#refuseClosed()
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.expiresAt > this.#now() ? entry : undefined
  }

  set (key: string, { value, expiresAt }: StoredEntry): Promise<void> | void {
    if (!(expiresAt > this.#now())) return this.delete(key)
    this.#refuseClosed()
    this.#entries.set(key, { value: Uint8Array.from(value), expiresAt })
    return this.#save()
  }

  delete (key: string): Promise<void> | void {
    this.#refuseClosed()
    if (this.#entries.delete(key)) return this.#save()
  }

  clear (prefix = ''): Promise<void> {
    this.#refuseClosed()
    for (const key of [...this.#entries.keys()]) if (key.startsWith(prefix)) this.#entries.delete(key)
    return this.#save()
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#saving
  }

  #refuseClosed (): void {
    if (this.#isClosed) throw new Error('json-file: it is closed')
  }

  /** Settles when all changes until now are in the file. */
  async #save (): Promise<void> {
    this.#isDirty = true
    await this.#saving
    this.#saving ??= this.#write().finally(() => { this.#saving = undefined })
    await this.#saving
  }

  async #write (): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false
      const rows = Array.from(this.#entries, ([key, { value, expiresAt }]): Row => [key, Buffer.from(value).toString('base64'), expiresAt])
      await writeFile(`${this.#path}.new`, JSON.stringify(rows))
      await rename(`${this.#path}.new`, this.#path)
    }
  }
}

/** What the file holds; nothing when there is none, or when it is not one of ours. */
function read (path: string): Map<string, StoredEntry> {
  try {
    const rows = JSON.parse(readFileSync(path, 'utf8')) as Row[]
    return new Map(rows.filter(isRow).map(([key, base64, expiresAt]) => [key, { value: Buffer.from(base64, 'base64'), expiresAt }]))
  } catch {
    return new Map()
  }
}

function isRow (row: unknown): row is Row {
  return Array.isArray(row) && typeof row[0] === 'string' && typeof row[1] === 'string' && Number.isFinite(row[2])
}
