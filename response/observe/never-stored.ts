// Warns about a route whose responses are never stored, because such a cache would otherwise look like one that works.
import type { ThrottledLog } from './log.js'
import type { BypassReason, RefusalReason } from './reasons.js'

/** After this many responses in a row that could have been stored but were not, the route's reasons are logged. */
const SUSPICIOUS = 20

/**
 * What to do about each reason. A reason that is missing here doesn't count, because the application or one client asked for it
 * (`reply.cache({ store: false })`, a status outside `statuses`), because it is transient, or because it has a warning of its own.
 */
const ADVICE: { readonly [R in BypassReason | RefusalReason]?: string } = {
  credentials: "the requests have Authorization or Cookie; name the user in the key, key: { by: (request) => ... }, or, if the response is the same for everybody, set credentials: 'shared'",
  key: 'the key can not be built; see the warning about the key',
  'request-body': 'the requests have a body that is not expected, or that can not be part of the key',
  'no-store': "the response's Cache-Control has no-store; change what the handler or a hook sets",
  private: "the response's Cache-Control, which the handler or a hook sets, has private; if the key names the user, a field for this cache alone can replace it (targetList)",
  'no-cache': "the response's Cache-Control has no-cache, and it has no ETag or Last-Modified to be validated by",
  'cache-control': "the response's Cache-Control is malformed or ambiguous",
  'no-freshness': 'nothing says how long the responses are fresh; give the route a ttl',
  expired: 'the responses are stale already; see their max-age, Expires, Date and Age',
  'set-cookie': 'the handler or a hook sets a cookie; name the user in the key, key: { by: (request) => ... }, or set the cookie elsewhere (@fastify/session: saveUninitialized: false, rolling: false)',
  authorization: "the requests have Authorization, and the response does not say that it may be shared; if it is the same for everybody, set credentials: 'shared'",
  vary: 'Vary is *, malformed, or names too many fields',
  cors: 'Access-Control-Allow-Origin names one origin, and Vary does not name Origin; set Vary: Origin',
  'csp-nonce': 'Content-Security-Policy contains a nonce, which is for one response only; use hashes on this route',
  trailer: 'the handler adds trailers, which are not stored',
  header: 'a header field can not be sent again unchanged',
  'event-stream': 'the responses are event streams; remove config.cache',
  hijacked: 'the responses are not sent through Fastify; send them with reply.send(), or remove config.cache',
  'too-large': "the bodies are larger than the route's maxBodyBytes",
  length: 'the bodies are shorter or longer than Content-Length says',
  'stream-failed': 'the streams fail before their end',
  ttl: 'the ttl given to reply.cache() is zero or invalid',
  tags: 'the tags are invalid or too many; see the warning about them',
  'reply-cache': 'reply.cache() received options that it does not know; see the warning about them'
}

interface Series { responses: number, reasons: Map<string, number>, readonly told: Set<string> }

export class NeverStored {
  readonly #log: ThrottledLog
  readonly #routes = new WeakMap<object, Series>()

  constructor (log: ThrottledLog) {
    this.#log = log
  }

  /** Called when a response of the route was stored. */
  noteStored (route: object): void {
    const series = this.#routes.get(route)
    if (series === undefined || series.responses === 0) return
    series.responses = 0
    series.reasons.clear()
  }

  /** Called when a response of the route was not stored. Logs a warning after the twentieth in a row, unless all its reasons are known. */
  note (route: { readonly name: string }, reason: BypassReason | RefusalReason): void {
    if (ADVICE[reason] === undefined) return
    let series = this.#routes.get(route)
    if (series === undefined) this.#routes.set(route, series = { responses: 0, reasons: new Map(), told: new Set() })
    series.reasons.set(reason, (series.reasons.get(reason) ?? 0) + 1)
    if (++series.responses < SUSPICIOUS) return
    this.#tell(route.name, series)
    this.noteStored(route)
  }

  #tell (route: string, { reasons, told }: Series): void {
    const sorted = [...reasons].sort(([, a], [, b]) => b - a)
    const news = sorted.map(([reason]) => reason).filter((reason) => !told.has(reason))
    if (news.length === 0) return
    for (const reason of news) told.add(reason)
    const counts = sorted.map(([reason, times]) => `${reason} (${times})`).join(', ')
    this.#log.warn(`never-stored ${route} ${news.join()}`, { route, reasons: Object.fromEntries(sorted) },
      `cache: ${route}: none of the last ${SUSPICIOUS} responses was stored: ${counts}; ${ADVICE[news[0] as BypassReason]}`)
  }
}
