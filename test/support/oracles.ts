// What must hold in every test of the plugin, whatever it is about: seven oracles, O1 to O7. Each returns the violations that it found.
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { CacheBackend } from '../../registry/backend.js'
import { isHeldUp } from '../../registry/deadline.js'
import type { ClientResponse, Ask } from './client.js'

/** What is compared in a response. Header fields named in `ignore` differ for each request (an id, a counter). */
export interface Comparable { status?: boolean, body?: boolean, headers?: boolean, ignore?: readonly string[] }

const NEVER_COMPARED = ['age', 'cache-status', 'date', 'x-version']
const FRAMING = ['content-length', 'transfer-encoding']

/** O1: the cached application's response equals the control's. */
export function differences (
  cached: ClientResponse, control: ClientResponse, { status = true, body = true, headers = true, ignore = [] }: Comparable
): string[] {
  const found: string[] = []
  if (status && !Object.is(cached.status, control.status)) found.push(`O1: status ${cached.status}, without the cache ${control.status}`)
  if (cached.whole !== control.whole) {
    found.push(`O1: the response is ${cached.whole ? '' : 'not '}whole, without the cache it is ${control.whole ? '' : 'not '}`)
  }
  if (body && control.whole && !cached.body.equals(control.body)) {
    found.push(`O1: body ${shown(cached.body)}, without the cache ${shown(control.body)}`)
  }
  if (!headers) return found
  // The framing of a body of unknown length is not part of the response.
  const framed = control.headers['content-length'] === undefined || cached.headers['content-length'] === undefined
  const left = [...NEVER_COMPARED, ...(framed ? FRAMING : []), ...ignore]
  for (const name of new Set([...Object.keys(cached.headers), ...Object.keys(control.headers)])) {
    const [one, other] = [fieldText(name, cached.headers[name]), fieldText(name, control.headers[name])]
    // RFC 9110 section 14.3: the cache serves ranges of what it stores, even if the application does not.
    if (name === 'accept-ranges' && one === 'bytes' && other === 'absent') continue
    if (!left.includes(name) && one !== other) found.push(`O1: ${name}: ${one}, without the cache ${other}`)
  }
  return found
}

const shown = (body: Buffer): string => `${JSON.stringify(body.subarray(0, 80).toString('latin1'))} (${body.byteLength} bytes)`

function fieldText (name: string, value: string | string[] | undefined): string {
  const text = value === undefined ? 'absent' : [value].flat().join(' | ')
  return name === 'vary' || name === 'trailer' ? text.toLowerCase().split(/, */).sort().join(', ') : text
}

/** O2: what belongs to one principal reaches no one else, and is stored nowhere. */
export class Canaries {
  readonly #texts = new Map<string, string>()
  readonly #storable = new Set<string>()

  /** The principal's own random text. `mayBeStored`: the test's key tells principals apart. */
  of (principal: string, { mayBeStored = false } = {}): string {
    const text = this.#texts.get(principal) ?? `canary${randomBytes(9).toString('hex')}`
    this.#texts.set(principal, text)
    if (mayBeStored) this.#storable.add(principal)
    return text
  }

  /** Only what the request itself contained may be in its response. */
  inResponse (ask: Ask, response: ClientResponse): string[] {
    const brought = JSON.stringify([ask.url, ask.headers, ask.body?.toString()])
    const got = response.body.toString('latin1') + JSON.stringify(response.headers)
    return this.#found((text) => got.includes(text) && !brought.includes(text), 'was sent to somebody else')
  }

  inLogs (lines: readonly string[], controlLines: readonly string[]): string[] {
    const count = (all: readonly string[], text: string): number => all.filter((line) => line.includes(text)).length
    return this.#found((text) => count(lines, text) > count(controlLines, text), 'is in the log')
  }

  async inBackend (backend: CacheBackend): Promise<string[]> {
    if (backend.keys === undefined || this.#texts.size === 0) return []
    const held: string[] = []
    for (const key of await backend.keys()) held.push(key + Buffer.from((await backend.get(key))?.value ?? []).toString('latin1'))
    return this.#found((text, principal) => !this.#storable.has(principal) && held.some((entry) => entry.includes(text)),
      'is in the backend')
  }

  #found (isThere: (text: string, principal: string) => boolean, where: string): string[] {
    return [...this.#texts]
      .filter(([principal, text]) => isThere(text, principal))
      .map(([principal]) => `O2: what belongs to ${principal} ${where}`)
  }
}

/** O3: a slow backend costs a request the deadline, plus at most this. */
const O3_SLACK_MS = 50

/** `busyMs`: how long the machine gave this thread no processor meanwhile, which is not the cache's fault. */
export function latency (
  cached: ClientResponse, control: ClientResponse, { deadlineMs, busyMs }: { deadlineMs: number, busyMs: number }
): string[] {
  const added = cached.tookMs - control.tookMs - busyMs
  // If the event loop was blocked, a wait begins again, once.
  const mayTakeMs = isHeldUp(0, busyMs) ? 2 * deadlineMs : deadlineMs
  return added <= mayTakeMs + O3_SLACK_MS ? [] : [`O3: the cache cost ${added.toFixed(0)} ms, the deadline is ${deadlineMs} ms`]
}

/** O4: there are no unhandled rejections, uncaught exceptions or warnings. */
export class Quiet {
  readonly #heard: string[] = []
  readonly #listen = {
    unhandledRejection: (err: unknown) => { this.#heard.push(`O4: unhandledRejection ${describe(err)}`) },
    uncaughtException: (err: unknown) => { this.#heard.push(`O4: uncaughtException ${describe(err)}`) },
    warning: (err: Error) => { if (err.name !== 'ExperimentalWarning') this.#heard.push(`O4: warning ${describe(err)}`) }
  }

  constructor () {
    for (const [event, listener] of Object.entries(this.#listen)) process.on(event, listener)
  }

  async end (): Promise<string[]> {
    // Rejections and warnings are emitted after the turn in which they occurred.
    await after(1)
    for (const [event, listener] of Object.entries(this.#listen)) process.off(event, listener)
    return this.#heard
  }
}

const describe = (err: unknown): string =>
  err instanceof Error ? `${err.name}: ${err.message} ${err.stack?.split('\n')[1]?.trim()}` : String(err)

/** O5: closing leaves nothing open. */
export class Resources {
  static #inUse = 0
  readonly #before = counted()

  constructor () {
    Resources.#inUse++
  }

  /**
   * Returns the resources that were not there before, after a moment in which closing ones may end. Of several applications in one test,
   * only the last to close checks, because the others' resources are still in use.
   */
  async left (): Promise<string[]> {
    if (--Resources.#inUse > 0) return []
    let left: string[] = []
    for (let tries = 0; tries < 60; tries++) {
      left = [...counted()]
        .filter(([name, times]) => times > (this.#before.get(name) ?? 0))
        .map(([name, times]) => `O5: ${times} ${name} after close, before ${this.#before.get(name) ?? 0}`)
      if (left.length === 0) return []
      await after(5)
    }
    return left
  }
}

function counted (): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) if (name !== 'Immediate') counts.set(name, (counts.get(name) ?? 0) + 1)
  if (process.platform === 'linux') counts.set('open files', readdirSync('/proc/self/fd').length)
  return counts
}

/** O6: no response was made before the last acknowledged invalidation. */
export class Versions {
  /** The version of the data that a handler reads if it starts now. */
  current = 1
  #acknowledged = 1

  /** Changes the data and calls `invalidate`. After its acknowledgement no response may have the old version. */
  async change (invalidate: () => Promise<unknown>): Promise<void> {
    const version = ++this.current
    await invalidate()
    this.#acknowledged = Math.max(this.#acknowledged, version)
  }

  /** Called when a request begins. Returns a function that checks the response. */
  watch (): (response: ClientResponse) => string[] {
    const least = this.#acknowledged
    return ({ headers }) => headers['x-version'] === undefined || Number(headers['x-version']) >= least
      ? []
      : [`O6: version ${String(headers['x-version'])} was sent, ${least} had been acknowledged when it was requested`]
  }
}

/** O7: the heap grows by at most one and a half times the configured size, plus 30 MB. */
export class Heap {
  readonly #before = usedBytes()

  beyond (configuredBytes: number): string[] {
    const grownBytes = usedBytes() - this.#before
    return grownBytes <= configuredBytes * 1.5 + 30e6 ? [] : [`O7: the heap grew by ${(grownBytes / 1e6).toFixed(0)} MB`]
  }
}

/** Bytes in use, on the heap and outside it, after garbage collection. */
export function usedBytes (): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // Memory outside the heap that the first collection finds free is released by the second.
  for (let times = 0; times < 3; times++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
