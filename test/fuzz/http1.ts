// Responses of HTTP/1.1 as bytes: read one after another, as strictly as they must be written (RFC 9112).

export interface Received {
  readonly status: number
  /** By lower-case name; lines of one name are joined. */
  readonly fields: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly trailers: Readonly<Record<string, string>>
  /** Whether its end has come. */
  readonly isWhole: boolean
}

/** What has come on one connection. */
export class Responses {
  #rest = Buffer.alloc(0)
  readonly #methods: readonly string[]
  readonly read: Received[] = []

  /** `methods`: those of the requests, in their order. */
  constructor (methods: readonly string[]) {
    this.#methods = methods
  }

  push (chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    for (let found = this.#next(false); found !== undefined && this.read.length < this.#methods.length; found = this.#next(false)) {
      this.read.push(found)
    }
  }

  /** The connection is closed: what is left is a part of a response, or nothing's. */
  end (): { readonly rest: Buffer } {
    const part = this.read.length < this.#methods.length ? this.#next(true) : undefined
    if (part !== undefined) this.read.push(part)
    return { rest: part === undefined ? this.#rest : Buffer.alloc(0) }
  }

  /** The next response; undefined while it is not whole, unless the connection is closed and its head is. */
  #next (isClosed: boolean): Received | undefined {
    const headEnd = this.#rest.indexOf('\r\n\r\n')
    if (headEnd === -1) return undefined
    const [first = '', ...lines] = this.#rest.toString('latin1', 0, headEnd).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1])
    const fields = fieldsOf(lines)
    const content = this.#rest.subarray(headEnd + 4)
    const isBare = this.#methods[this.read.length] === 'HEAD' || status === 304 || status === 204
    const framed = isBare ? { body: Buffer.alloc(0), bytes: 0, isWhole: true, trailers: {} } : framedBy(fields, content)
    if (!framed.isWhole && !isClosed) return undefined
    this.#rest = content.subarray(framed.bytes)
    return { status, fields, body: framed.body, trailers: framed.trailers, isWhole: framed.isWhole }
  }
}

interface Framed { readonly body: Buffer, readonly bytes: number, readonly isWhole: boolean, readonly trailers: Record<string, string> }

function framedBy (fields: Record<string, string>, content: Buffer): Framed {
  if (fields['transfer-encoding'] !== undefined) return chunked(content)
  const length = Number(fields['content-length'])
  // RFC 9112 section 6.3: without a length it ends with the connection, which this server does not do.
  if (!Number.isInteger(length)) return { body: content, bytes: content.byteLength, isWhole: false, trailers: {} }
  return {
    body: content.subarray(0, length), bytes: Math.min(length, content.byteLength), isWhole: content.byteLength >= length, trailers: {}
  }
}

function chunked (content: Buffer): Framed {
  const chunks: Buffer[] = []
  let at = 0
  const part = (): Framed => ({ body: Buffer.concat(chunks), bytes: content.byteLength, isWhole: false, trailers: {} })
  for (;;) {
    const lineEnd = content.indexOf('\r\n', at)
    if (lineEnd === -1) return part()
    const size = parseInt(content.toString('latin1', at, lineEnd), 16)
    if (!(size > 0)) break
    if (content.byteLength < lineEnd + 4 + size) return part()
    chunks.push(content.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 4 + size
  }
  const start = content.indexOf('\r\n', at)
  const end = content.toString('latin1', start, start + 4) === '\r\n\r\n' ? start + 2 : content.indexOf('\r\n\r\n', start + 2) + 2
  if (end < start + 2) return part()
  const trailers = fieldsOf(content.toString('latin1', start + 2, end).split('\r\n').filter((line) => line !== ''))
  return { body: Buffer.concat(chunks), bytes: end + 2, isWhole: true, trailers }
}

function fieldsOf (lines: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = Object.create(null)
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    fields[name] = name in fields ? `${fields[name]}, ${value}` : value
  }
  return fields
}
