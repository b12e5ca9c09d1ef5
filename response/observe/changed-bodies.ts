// Warns once about each onSend hook that changes bodies, because such responses have neither the cache's ETag nor ranges.
import type { ThrottledLog } from './log.js'

export class ChangedBodies {
  readonly #log: ThrottledLog
  readonly #told = new WeakSet<object>()
  #hasToldUnnamed = false

  constructor (log: ThrottledLog) {
    this.#log = log
  }

  /** Called when a hook changed the body of a response. `hook` is undefined if it changed the body in place, or only Content-Encoding. */
  note (route: { readonly name: string }, hook: { readonly name: string } | undefined, coding: unknown): void {
    if (hook === undefined ? this.#hasToldUnnamed : this.#told.has(hook)) return
    if (hook === undefined) this.#hasToldUnnamed = true
    else this.#told.add(hook)
    // Fastify binds hooks to their scopes.
    const name = hook?.name.replace(/^bound /, '') ?? ''
    const named = name === '' ? 'an onSend hook' : `the onSend hook "${name}"`
    this.#log.warn(`changed body ${name}`, { route: route.name, ...(coding !== undefined && { contentEncoding: coding }) },
      `cache: ${named} changes bodies${coding === undefined ? '' : ` (Content-Encoding: ${String(coding)})`} after the handler, here on ${route.name}: such responses get no ETag from the cache, and no ranges; to have both, let the hook leave this route's responses alone`)
  }
}
