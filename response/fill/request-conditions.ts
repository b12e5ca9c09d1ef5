// The conditions and the range of a request. While the handler runs, others may take their place; the cache then evaluates the client's.
import type { FastifyRequest } from 'fastify'
import { CONDITION_FIELDS, mayBeWithheld, type Conditions } from '../http/conditional.js'

export class RequestConditions {
  /** The client's conditions as they arrived. */
  readonly arrived: Conditions
  /** Whether the handler did not receive the client's conditions, so that the cache evaluates them. Only this class changes it. */
  areWithheld = false
  readonly #request: FastifyRequest
  #areReplaced = false
  #headers: FastifyRequest['headers'] | undefined

  constructor (request: FastifyRequest) {
    this.#request = request
    this.arrived = picked(request.headers)
  }

  /** Keeps the conditions from the handler, unless only the handler can evaluate them, or they are replaced already. */
  withhold (): void {
    if (!this.areWithheld && this.#request.method === 'GET' && mayBeWithheld(this.arrived)) this.replace({})
  }

  /** Replaces the client's conditions with `own`, which may be none at all. */
  replace (own: Readonly<Record<string, string>>): void {
    this.areWithheld = this.#areReplaced = true
    const { raw } = this.#request
    // If schema validation has set fields, `request.headers` is a separate object with those fields and the fields that arrived.
    if (this.#request.headers !== raw.headers) {
      this.#headers = this.#request.headers
      this.#request.headers = { ...without(this.#headers), ...own }
    }
    for (const name of CONDITION_FIELDS) delete raw.headers[name]
    Object.assign(raw.headers, own)
  }

  /** Restores the client's conditions, for code that runs after the handler. */
  putBack (): void {
    if (!this.#areReplaced) return
    this.#areReplaced = false
    const { raw } = this.#request
    for (const name of CONDITION_FIELDS) delete raw.headers[name]
    Object.assign(raw.headers, this.arrived)
    if (this.#headers !== undefined) this.#request.headers = this.#headers
  }

  /** Restores the client's conditions, for a handler that evaluates them itself. */
  giveBack (): void {
    this.putBack()
    this.areWithheld = false
  }
}

function picked (headers: Conditions): Conditions {
  return Object.fromEntries(CONDITION_FIELDS.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]))
}

function without (headers: FastifyRequest['headers']): FastifyRequest['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !(CONDITION_FIELDS as readonly string[]).includes(name)))
}
