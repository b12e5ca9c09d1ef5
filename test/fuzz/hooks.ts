// Hooks of the fuzzed application: those that rewrite a request in front of its handler, and those that look at responses.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { World } from './world.js'

/** Hooks that change what a request says, once the application has read it, as they do for an upstream. */
const REWRITERS = {
  /** The tenant, or the language, is taken off the target. */
  strip: (request) => { request.raw.url = request.raw.url?.replace(/^\/t\/[^/]+(?=\/)|^\/(?:en|de)(?=\/)/, '') ?? '' },
  host: ({ headers }) => { headers[headers[':authority'] === undefined ? 'host' : ':authority'] = 'upstream.internal' },
  forwarded: ({ headers }) => { delete headers['x-forwarded-host'] },
  token: ({ headers }) => { if (headers.authorization !== undefined) headers.authorization = 'Bearer service' },
  anonymous: ({ headers }) => { delete headers.authorization },
  cookie: ({ headers }) => { if (headers.cookie !== undefined) headers.cookie = 'sid=service' },
  language: ({ headers }) => { headers['accept-language'] = 'en' },
  body: (request) => { if (request.body !== undefined) request.body = {} },
  method: (request, world) => {
    const { override } = world.sentFor(request)?.asked ?? {}
    if (override !== undefined) request.raw.method = override
  }
} satisfies Record<string, (request: FastifyRequest, world: World) => void>

/** Hooks that set something on the reply in front of the handler, or stand behind it. */
const OTHERS = {
  serializer: (_request, reply) => { reply.serializer(wrapped) },
  type: (_request, reply) => { reply.header('content-type', 'text/html') },
  passing: () => {}
} satisfies Record<string, (request: FastifyRequest, reply: FastifyReply) => void>

export type HookName = keyof typeof REWRITERS | keyof typeof OTHERS
export const REWRITING = Object.keys(REWRITERS) as HookName[]
export const HOOKS: readonly HookName[] = [...REWRITING, ...Object.keys(OTHERS) as HookName[]]

/** What the hook `serializer` makes of a payload. */
export const wrapped = (payload: unknown): string => JSON.stringify({ data: payload })

export function addHooks (app: FastifyInstance, world: World): void {
  for (const name of world.plan.hooks) {
    const hook = (request: FastifyRequest, reply: FastifyReply): void => {
      if (name in REWRITERS) REWRITERS[name as keyof typeof REWRITERS](request, world)
      else OTHERS[name as keyof typeof OTHERS](request, reply)
    }
    // There is a body only after it was parsed.
    app.addHook(name === 'body' ? 'preHandler' : world.plan.stage as 'onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
      hook(request, reply)
    })
    if (name === 'passing') app.addHook('onSend', async (_request, _reply, payload) => payload)
  }
}
