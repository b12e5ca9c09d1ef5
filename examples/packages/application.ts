// The application: it walks node_modules to find out what is installed, and caches the responses.
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import responseCache from 'fastify-response-cache'
import type { Storage } from './storage.js'
import { installedIn, sizeOf, total } from './walk.js'

/** The settings of the application. */
export interface Settings {
  /** The folder whose node_modules is shown. */
  readonly project: string
  /** Where the responses are stored. */
  readonly storage: Storage
}

/** The tag of responses about all packages. */
const ALL = 'packages'

/** The tag of responses about one package. */
const tagOf = (name: string): string => `package:${name}`

/** `name` is the name in the path, without the `scope` if the path has one: /packages/@fastify/error. */
interface Named { Params: { scope?: string, name: string } }

const nameOf = ({ params: { scope, name } }: FastifyRequest<Named>): string => scope === undefined ? name : `@${scope}/${name}`

/** The application, ready to listen. */
export async function application ({ project, storage }: Settings): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'warn' } })
  await app.register(responseCache, {
    ...storage.options,
    // No handler here reads the host or the query, so the key contains neither.
    defaults: { ttl: '1h', ...storage.options.defaults, key: { host: false, query: false } }
  })
  addLists(app, project)
  addPackages(app, project)
  return app
}

/** The routes about all packages. */
function addLists (app: FastifyInstance, project: string): void {
  app.get('/packages', { config: { cache: { tags: [ALL] } } }, async () => {
    const installed = await installedIn(project)
    const packages = await Promise.all(installed.map(async (one) => ({ ...one, ...await sizeOf(project, one) })))
    return { count: packages.length, ...total(packages), packages }
  })

  app.get('/licenses', { config: { cache: { tags: [ALL] } } }, async () => {
    const names = new Map<string, Set<string>>()
    for (const { license, name } of await installedIn(project)) {
      names.set(license, (names.get(license) ?? new Set()).add(name))
    }
    const licenses = [...names].map(([license, packages]) => ({ license, count: packages.size, packages: [...packages] }))
    return licenses.sort((a, b) => b.count - a.count)
  })
}

/** The routes about one package, and the route that invalidates them. */
function addPackages (app: FastifyInstance, project: string): void {
  // A scoped name contains a slash. /packages/@fastify%2Ferror matches the first pattern.
  for (const path of ['/packages/:name', '/packages/@:scope/:name']) {
    app.get<Named>(path, { config: { cache: { tags: (request) => [tagOf(nameOf(request as FastifyRequest<Named>))] } } },
      async (request, reply) => {
        const installed = await find(project, nameOf(request))
        if (installed.length === 0) return notInstalled(reply, request)
        return {
          name: nameOf(request), installed: await Promise.all(installed.map(async (one) => ({ ...one, ...await sizeOf(project, one) })))
        }
      })

    app.post<Named>(`${path}/touch`, async (request, reply) => {
      const name = nameOf(request)
      if ((await find(project, name)).length === 0) return notInstalled(reply, request)
      const tags = [tagOf(name), ALL]
      await app.cache.invalidate({ tags })
      return {
        touched: name,
        invalidated: tags,
        meaning: `stored responses about ${name} and about all packages are invalidated; those about other packages stay`
      }
    })
  }
}

/** A 404 is not stored, because `ttl` does not apply to this status. */
function notInstalled (reply: FastifyReply, request: FastifyRequest<Named>): FastifyReply {
  return reply.code(404).send({ error: `${nameOf(request)} is not installed` })
}

async function find (project: string, name: string) {
  return (await installedIn(project)).filter((one) => one.name === name)
}
