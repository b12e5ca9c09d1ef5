// The application: what is installed in node_modules, found out by walking it, and the answers cached.
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import responseCache from 'fastify-response-cache'
import type { Storage } from './storage.js'
import { installedIn, sizeOf, total } from './walk.js'

/** What the application is about. */
export interface Settings {
  /** The folder whose node_modules is shown. */
  readonly project: string
  /** Where the answers are kept. */
  readonly storage: Storage
}

/** The tag of what is said of all packages. */
const ALL = 'packages'

/** The tag of what is said of one package. */
const tagOf = (name: string): string => `package:${name}`

/** `name` is what the path says, `scope` stands in front of it where the path has one: /packages/@fastify/error. */
interface Named { Params: { scope?: string, name: string } }

const nameOf = ({ params: { scope, name } }: FastifyRequest<Named>): string => scope === undefined ? name : `@${scope}/${name}`

/** The application, ready to listen. */
export async function application ({ project, storage }: Settings): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'warn' } })
  await app.register(responseCache, {
    ...storage.options,
    // No handler here looks at the host or at the query, so neither needs to split an entry.
    defaults: { ttl: '1h', ...storage.options.defaults, key: { host: false, query: false } }
  })
  addLists(app, project)
  addPackages(app, project)
  return app
}

/** What is said of all packages. */
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

/** What is said of one package, and how it is invalidated. */
function addPackages (app: FastifyInstance, project: string): void {
  // A scoped name holds a slash. As /packages/@fastify%2Ferror it is one parameter of the first pattern.
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
        meaning: `what was stored of ${name} and of all packages together is not served again; what is said of other packages stays`
      }
    })
  }
}

/** Not stored: 404 is none of the statuses to which `ttl` applies. */
function notInstalled (reply: FastifyReply, request: FastifyRequest<Named>): FastifyReply {
  return reply.code(404).send({ error: `${nameOf(request)} is not installed` })
}

async function find (project: string, name: string) {
  return (await installedIn(project)).filter((one) => one.name === name)
}
