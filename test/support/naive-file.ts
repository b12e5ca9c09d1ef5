// The guide's FileBackend, ported line by line by someone who has not read the contract, so that the kit finds its faults.
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'

const CLEANUP_INTERVAL_MS = 300_000
const MAX_FILE_AGE_MS = 3_600_000

export class NaiveFileBackend implements CacheBackend {
  readonly #dir: string
  readonly #now: () => number
  readonly #cleanup: NodeJS.Timeout

  constructor (dir: string, now: () => number) {
    this.#dir = dir
    this.#now = now
    mkdirSync(dir, { recursive: true })
    this.#cleanup = setInterval(() => { this.#cleanupExpiredFiles() }, CLEANUP_INTERVAL_MS)
  }

  #pathOf (key: string): string {
    return join(this.#dir, `${createHash('sha256').update(key).digest('hex')}.json`)
  }

  async get (key: string): Promise<StoredEntry | undefined> {
    const path = this.#pathOf(key)
    try {
      const data = JSON.parse(await readFile(path, 'utf8'))
      if (data.expires < this.#now()) {
        await this.#removeFile(path)
        return undefined
      }
      return { value: Buffer.from(data.value), expiresAt: data.expires }
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT' || error instanceof SyntaxError) return undefined
      throw error
    }
  }

  async set (key: string, { value, expiresAt }: StoredEntry): Promise<void> {
    const data = { key, value: Buffer.from(value).toString(), expires: expiresAt, created: this.#now() }
    await writeFile(this.#pathOf(key), JSON.stringify(data))
  }

  async delete (key: string): Promise<void> {
    await this.#removeFile(this.#pathOf(key))
  }

  async #removeFile (path: string): Promise<void> {
    await unlink(path).catch((error: { code?: string }) => { if (error.code !== 'ENOENT') throw error })
  }

  async #cleanupExpiredFiles (): Promise<void> {
    for (const name of await this.#files()) {
      const path = join(this.#dir, name)
      try {
        if ((await stat(path)).mtimeMs < this.#now() - MAX_FILE_AGE_MS || JSON.parse(await readFile(path, 'utf8')).expires < this.#now()) {
          await this.#removeFile(path)
        }
      } catch {
        await this.#removeFile(path)
      }
    }
  }

  async #files (): Promise<string[]> {
    return (await readdir(this.#dir)).filter((name) => name.endsWith('.json'))
  }

  async close (): Promise<void> {
    clearInterval(this.#cleanup)
  }

  async clear (): Promise<void> {
    for (const name of await this.#files()) await this.#removeFile(join(this.#dir, name))
  }

  async size (): Promise<number> {
    return (await this.#files()).length
  }
}
